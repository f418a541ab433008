"""The container's files. Where there is a Docker daemon they can be built; here they are read."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.serving import served

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


def instruction(name: str) -> str:
    found = re.findall(rf"^{name} ((?:.*\\\n)*.*)$", DOCKERFILE, re.M)
    return found[-1]


def test_the_linter_has_no_complaint() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([linter, ROOT / "deploy" / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_torch_that_is_installed_first_is_the_pinned_one(tmp_path: Path) -> None:
    """The commands of its RUN, with a pip that says what it was asked for."""
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    (tmp_path / "pip").write_text('#!/bin/sh\necho "$@"\nfor file; do :; done; cat "$file"\n')
    (tmp_path / "pip").chmod(0o755)
    script = instruction("RUN").replace("\\\n", " ")
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TORCH_INDEX": "https://index.test"}
    said = subprocess.run(
        ["sh", "-ec", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    ).stdout.splitlines()
    pin = next(
        line for line in (ROOT / "requirements.txt").read_text().splitlines() if "torch==" in line
    )
    assert said[:2] == ["install --index-url https://index.test -r torch.txt", pin]
    assert said[2] == "install -r requirements.txt"


def test_what_is_copied_is_served_by_its_command(tmp_path: Path) -> None:
    """A copy without what .dockerignore names, on a free port and this machine's address alone."""
    ignored = (ROOT / ".dockerignore").read_text().replace("**/", "").split()
    app = tmp_path / "app"
    shutil.copytree(ROOT, app, ignore=shutil.ignore_patterns(*ignored, ".*_cache", "artefacts"))
    command = json.loads(instruction("CMD"))
    assert command[:3] == ["python", "-m", "streamlit"]
    command[command.index("0.0.0.0")] = "127.0.0.1"
    with served(
        [sys.executable, *command[1:]],
        port_option="--server.port",
        cwd=app,
        log=tmp_path / "log",
        LIGHTBOX_DATA=str(tmp_path / "data"),
    ):
        assert "Traceback" not in (tmp_path / "log").read_text()


def test_its_port_is_published_to_this_machine_alone() -> None:
    given = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    (exposed,) = shlex.split(instruction("EXPOSE"))
    for service in given["services"].values():
        assert service["ports"] == [f"127.0.0.1:{exposed}:{exposed}"]
        assert (ROOT / "deploy" / service["build"]["context"]).resolve() == ROOT
        assert (ROOT / service["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize("name", [".devcontainer/devcontainer.json"])
def test_the_development_container_makes_a_target_of_the_makefile(name: str) -> None:
    target = json.loads((ROOT / name).read_text())["postCreateCommand"].split()[-1]
    assert f"{target.replace('.venv', '$(VENV)')}:" in (ROOT / "Makefile").read_text()
