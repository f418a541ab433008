"""Who may import whom: downward only, and torch only where it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.sources import ROOT, app_files, imports, module_name

# Each part of the app, and the parts that it may import beside itself.
MAY_IMPORT = {
    "core.diffusion": (),
    "core.sweeps": ("core.diffusion",),
    "core.output": ("core.sweeps", "core.diffusion"),
    "core.runs": (
        "core.sweeps",
        "core.diffusion",
        "core.output.infotext",
        "core.output.metrics",
    ),
    "core.export": ("core.runs", "core.output", "core.sweeps", "core.diffusion"),
    "core.likeness": ("core.runs", "core.output"),
    "core.films": ("core.runs", "core.output", "core.sweeps", "core.diffusion"),
    "core.commands": ("core",),
    "core.__main__": ("core",),
    "ui": ("core",),
    "pages": ("ui", "core"),
    "streamlit_app": ("ui", "core"),
}
OURS = ("core", "ui", "pages", "streamlit_app", "training", "benchmarks", "tests")
HEAVY = ("torch", "diffusers", "transformers", "accelerate")
READABLE_WITHOUT_TORCH = (
    "settings",
    "schedulers",
    "models",
    "prompts",
    "events",
    "trajectory",
    "variations",
    "schedule",
    "images",
    "anatomy",
    "mishaps",
)
LAZY_HEAVY = ("core.runs.worker", "core.runs.cluster", "core.output.metrics")

APP_FILES = app_files()


def within(module: str, part: str) -> bool:
    return module == part or module.startswith(part + ".")


def part_of(module: str) -> str:
    return max((part for part in MAY_IMPORT if within(module, part)), key=len, default="")


@pytest.mark.parametrize("path", APP_FILES, ids=module_name)
def test_imports_go_downward(path: Path) -> None:
    module = module_name(path)
    if module == "core":
        assert imports(path) == []
        return
    part = part_of(module)
    assert part, f"{module} belongs to no part of the design"
    for found in imports(path):
        if within(found.module, "streamlit"):
            assert not within(module, "core"), f"{module} imports streamlit"
        if not any(within(found.module, name) for name in OURS):
            continue
        # "from core.output import infotext" names a module too.
        targets = [f"{found.module}.{name}" for name in found.names] or [found.module]
        for target in targets:
            allowed = (part, *MAY_IMPORT[part])
            assert any(within(target, name) for name in allowed), f"{module} imports {target}"


@pytest.mark.parametrize("path", APP_FILES, ids=module_name)
def test_heavy_packages_are_imported_only_where_they_work(path: Path) -> None:
    module = module_name(path)
    for found in imports(path):
        if found.is_for_types or not any(within(found.module, name) for name in HEAVY):
            continue
        where = f"{module} imports {found.module}"
        if within(module, "core.diffusion"):
            light = module.rsplit(".", 1)[-1] in READABLE_WITHOUT_TORCH
            assert found.is_lazy or not light, where
        else:
            assert module in LAZY_HEAVY, where
            assert found.is_lazy, where


def test_output_takes_data_never_an_engine() -> None:
    for path in APP_FILES:
        if within(module_name(path), "core.output"):
            for found in imports(path):
                assert "Engine" not in found.names, path
                assert found.is_for_types or not within(found.module, "core.diffusion.engine"), path


def test_the_app_starts_without_torch() -> None:
    """A page that only looks at stored images, and every table it reads, opens without torch."""
    light = [
        module_name(path)
        for path in APP_FILES
        if not within(module_name(path), "core.diffusion")
        and part_of(module_name(path))
        not in ("", "pages", "streamlit_app", "core.__main__", "core.commands")
        and module_name(path) not in LAZY_HEAVY
    ]
    light += [f"core.diffusion.{name}" for name in READABLE_WITHOUT_TORCH]
    program = (
        "import importlib, sys\n"
        f"for name in {light!r}:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = [heavy for heavy in {HEAVY!r} if heavy in sys.modules]\n"
        "    assert not loaded, f'{name} loads {loaded}'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
