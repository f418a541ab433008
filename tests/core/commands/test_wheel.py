"""The wheel: built, installed into an environment of its own, and used from another folder."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from PIL import Image

from core.output.texts.infotext import VERSION
from tests.serving import served

ROOT = Path(__file__).resolve().parents[3]


def run(*command: object, **more: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=more.pop("cwd", ROOT),
        env={**os.environ, **more},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, ROOT)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def lightbox(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, in an environment that has nothing of this checkout; what the wheel depends on
    comes from the tests' environment, since installing it takes minutes.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    python = next(folder.glob("[bS][ic]*/python*"))
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel)
    packages = run(python, "-c", "import site; print(site.getsitepackages()[0])").strip()
    (Path(packages) / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return next(folder.glob("[bS][ic]*/lightbox*"))


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    return {"cwd": str(tmp_path), "LIGHTBOX_DATA": str(tmp_path / "data")}


def tracked() -> set[str]:
    wanted = (".streamlit", "core", "models/bundled", "pages", "ui", "streamlit_app.py", "LICENSE")
    return set(
        run("git", "ls-files", "--cached", "--others", "--exclude-standard", *wanted).split()
    )


def test_it_holds_every_file_of_the_app(wheel: Path) -> None:
    """But for the README's screenshots; and nothing at the top of site-packages but one package."""
    names = zipfile.ZipFile(wheel).namelist()
    app = {name.removeprefix("diffusion_lightbox/") for name in names if "dist-info" not in name}
    shots = {name for name in tracked() if name.startswith("ui/assets/") and name.endswith("png")}
    shots = {name for name in shots if name.count("/") == 2}
    assert shots
    assert app == tracked() - shots - {"core/commands/installed.py"} | {"__init__.py"}
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {
        "diffusion_lightbox"
    }


def test_a_picture_is_made_from_another_folder(lightbox: Path, elsewhere: dict[str, str]) -> None:
    assert run(lightbox, "--version", **elsewhere).strip() == VERSION
    assert run(lightbox, "--help", **elsewhere).startswith("usage: lightbox")
    run(
        *(lightbox, "generate", "--prompt", "a fox", "--num-inference-steps", "2"),
        *("--out", "fox.png"),
        **elsewhere,
    )
    with Image.open(Path(elsewhere["cwd"]) / "fox.png") as picture:
        assert picture.size == (128, 128)


def test_the_app_is_served_with_its_own_settings(lightbox: Path, elsewhere: dict[str, str]) -> None:
    folder = Path(elsewhere.pop("cwd"))
    log = folder / "server.log"
    command = [lightbox, "app", "--no-browser"]
    with served(command, port_option="--port", cwd=folder, log=log, **elsewhere) as url:
        assert url in log.read_text(), "bound to this machine alone"


def test_a_port_that_is_none_is_said(lightbox: Path, elsewhere: dict[str, str]) -> None:
    folder = elsewhere.pop("cwd")
    done = subprocess.run(
        [str(lightbox), "app", "--port", "70000"],
        cwd=folder,
        env={**os.environ, **elsewhere},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.strip() == "error: --port 70000: a port is from 1024 to 65535"


def test_its_ranges_hold_the_versions_that_the_tests_run_with() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ranges = [Requirement(one) for one in project["dependencies"]]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert [(one.name, one.extras) for one in ranges] == [(one.name, one.extras) for one in pins]
    for one, pin in zip(ranges, pins, strict=True):
        version = str(pin.specifier).removeprefix("==")
        assert one.specifier.contains(version), one
        assert not one.specifier.contains("9999"), f"{one}: a next major version may break it"
