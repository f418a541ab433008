"""Who may import whom: the rooms of the house, top to bottom, and torch only where it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.sources import ROOT, app_files, imports, module_name

# The rooms from the bottom up. A room imports itself and what stands before it; the rooms of one
# line know nothing of each other. An import for types counts like any other.
HOUSE: tuple[tuple[str, ...], ...] = (
    ("core",),
    ("core.diffusion",),
    ("core.diffusion.recipe",),
    ("core.diffusion.recipe.rows",),
    ("core.diffusion.recipe.settings_table",),
    ("core.diffusion.settings",),
    ("core.diffusion.trajectory",),
    ("core.diffusion.events",),
    ("core.diffusion.models.errors",),
    ("core.diffusion.models.latent_format",),
    ("core.diffusion.models.families",),
    ("core.diffusion.models.files",),
    ("core.diffusion.models",),
    ("core.diffusion.models.lora", "core.diffusion.models.vae"),
    ("core.diffusion.named_files",),
    ("core.diffusion.sampling.compute",),
    ("core.diffusion.sampling",),
    ("core.diffusion.engine",),
    ("core.diffusion.inside",),
    ("core.sweeps",),
    ("core.glossary",),
    ("core.output",),
    ("core.output.effects",),
    ("core.output.texts.files", "core.output.texts.sampler_names", "core.output.texts.notations"),
    ("core.output.texts.a1111",),
    ("core.output.texts.facts",),
    ("core.output.texts.comfyui", "core.output.texts.flat"),
    ("core.output.texts", "core.output.programs", "core.output.numbers"),
    ("core.output.sheet", "core.output.figures"),
    ("core.output.film", "core.output.preferences"),
    ("core.runs",),
    ("core.runs.store",),
    ("core.runs.queue",),
    ("core.runs.worker.waiting",),
    ("core.runs.worker.dispatch",),
    ("core.runs.worker.model", "core.runs.worker.turns"),
    ("core.runs.worker.tasks",),
    ("core.runs.worker",),
    ("core.exports",),
    ("core.lessons",),
    ("core.commands",),
    ("core.__main__",),
    ("core.commands.installed",),
    ("ui",),
    ("ui.catalog", "ui.views"),
    ("ui.links",),
    ("ui.clicks", "ui.help", "ui.sweep_link"),
    ("ui.runtime",),
    ("ui.frame", "ui.send"),
    ("ui.progress",),
    ("ui.settings",),
    ("ui.runs",),
    ("ui.grid",),
    ("ui.effects",),
    ("ui.preferences",),
    (
        "ui.film",
        "ui.gallery",
        "ui.generate",
        "ui.glossary",
        "ui.home",
        "ui.img2img",
        "ui.latents",
        "ui.lessons",
        "ui.schedulers",
        "ui.steps",
        "ui.sweep",
        "ui.variations",
    ),
    ("pages", "streamlit_app"),
)
FLOOR = {room: floor for floor, rooms in enumerate(HOUSE) for room in rooms}
OURS = ("core", "ui", "pages", "streamlit_app", "training", "benchmarks", "tests")
HEAVY = ("torch", "diffusers", "transformers", "accelerate", "peft")
WITH_TORCH = ("core.diffusion.models", "core.diffusion.sampling", "core.diffusion.inside")
"""Rooms whose modules may need torch at their beginning, but for those of LIGHT."""
LAZY_TORCH = ("core.runs.worker", "core.output.numbers")
"""Rooms that may import it inside a function."""
LIGHT = (
    "core.diffusion.models",
    "core.diffusion.models.load",
    "core.diffusion.models.families",
    "core.diffusion.models.origins",
    "core.diffusion.models.lora.files",
    "core.diffusion.models.vae.files",
    "core.diffusion.named_files",
    "core.diffusion.sampling.text_encoder",
    "core.diffusion.inside.anatomy",
    "core.diffusion.inside.mistake_table",
)
"""Modules of those rooms that tables and pages read: they open in milliseconds."""

MODULES_IN_A_FOLDER = 15
LINES_IN_A_MODULE = 300

APP_FILES = app_files()
MODULES = frozenset(module_name(path) for path in APP_FILES)


def within(module: str, part: str) -> bool:
    return module == part or module.startswith(part + ".")


def room_of(module: str) -> str:
    return max((room for room in FLOOR if within(module, room)), key=len, default="")


def needed(path: Path) -> set[str]:
    """The modules of the app that a module imports, whether lazily or for types."""
    found: set[str] = set()
    for one in imports(path):
        if not any(within(one.module, name) for name in OURS):
            continue
        # "from core.output import infotext" names a module too.
        inner = {f"{one.module}.{name}" for name in one.names}
        found |= inner & MODULES
        if not one.names or inner - MODULES:
            found.add(one.module)
    return found


def test_every_room_of_the_house_is_there() -> None:
    for room in FLOOR:
        assert any(within(module, room) for module in MODULES), f"{room} does not exist"


@pytest.mark.parametrize("path", APP_FILES, ids=module_name)
def test_imports_go_downward(path: Path) -> None:
    module = module_name(path)
    room = room_of(module)
    assert room, f"{module} belongs to no room of the house"
    for target in needed(path):
        other = room_of(target)
        assert other, f"{module} imports {target}"
        is_below = FLOOR[other] < FLOOR[room] or other == room
        assert is_below, f"{module} imports {target}"


def test_no_circle_of_imports() -> None:
    """Imports for types and inside functions count: a circle is one idea in two modules."""
    arrows = {module_name(path): needed(path) for path in APP_FILES}
    done: set[str] = set()

    def follow(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail[trail.index(module) :], module))
        if module not in done:
            for target in sorted(arrows.get(module, ())):
                follow(target, (*trail, module))
            done.add(module)

    for module in sorted(arrows):
        follow(module, ())


@pytest.mark.parametrize("path", APP_FILES, ids=module_name)
def test_core_knows_no_streamlit(path: Path) -> None:
    if within(module_name(path), "core"):
        assert not any(within(found.module, "streamlit") for found in imports(path))


@pytest.mark.parametrize("path", APP_FILES, ids=module_name)
def test_heavy_packages_are_imported_only_where_they_work(path: Path) -> None:
    module = module_name(path)
    for found in imports(path):
        if found.is_for_types or not any(within(found.module, name) for name in HEAVY):
            continue
        where = f"{module} imports {found.module}"
        if module == "core.diffusion.engine" or any(within(module, room) for room in WITH_TORCH):
            assert found.is_lazy or module not in LIGHT, where
        else:
            assert found.is_lazy, where
            assert within(module, "core.diffusion.recipe") or any(
                within(module, room) for room in LAZY_TORCH
            ), where


def test_output_takes_data_never_an_engine() -> None:
    for path in APP_FILES:
        if within(module_name(path), "core.output"):
            for found in imports(path):
                assert "Engine" not in found.names, path
                assert not within(found.module, "core.diffusion.engine"), path


def test_a_folder_of_many_modules_has_rooms() -> None:
    """The room for a change is found by its folder's name, not by reading a long list."""
    for folder in {path.parent for path in APP_FILES}:
        modules = [path for path in APP_FILES if path.parent == folder and path.stem != "__init__"]
        assert len(modules) <= MODULES_IN_A_FOLDER, folder


@pytest.mark.parametrize("path", APP_FILES, ids=module_name)
def test_a_module_is_one_idea(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES_IN_A_MODULE


def test_the_app_starts_without_torch() -> None:
    """A page that only looks at stored images, and every table it reads, opens without torch."""
    heavy_rooms = (*WITH_TORCH, "core.diffusion.engine")
    light = [
        module_name(path)
        for path in APP_FILES
        if not any(within(module_name(path), room) for room in heavy_rooms)
        and room_of(module_name(path)) not in ("pages", "streamlit_app", "core.__main__")
    ]
    light += LIGHT
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
