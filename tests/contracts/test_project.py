"""What holds of the whole project: pages, pins, docstrings, sizes, words never used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from core.output.texts.infotext import VERSION
from tests.contracts.sources import ROOT, app_files, imports, module_name
from ui.catalog import CATALOG

PAGES = sorted((ROOT / "pages").glob("*.py"))
REQUIREMENTS = sorted(ROOT.glob("requirements*.txt"))
MEGABYTE = 1_000_000

FORBIDDEN = {
    "use_container_width": 'width="stretch" replaced it',
    "use_column_width": 'width="stretch" replaced it',
    "components.v1": "no foreign HTML in the app",
    "unsafe_allow_html": "a prompt could carry HTML",
    "unsafe_allow_javascript": "a prompt could carry JavaScript",
    "st.navigation(": "pages are found in pages/; a cold deep link breaks with it",
    "trust_remote_code": "no code from a model",
    "custom_pipeline": "no code from a model",
    "torch_dtype": "diffusers calls it dtype",
    "torch.load(": "pickle runs code: safetensors only",
    "shell=True": "no shell",
}


TOP = {
    *(".ci", ".devcontainer", ".dockerignore", ".gitignore", ".streamlit", "benchmarks", "core"),
    *("CHANGELOG.md", "deploy", "dev", "docs", "examples", "LICENSE", "Makefile", "models"),
    *("pages", "pyproject.toml", "README.md", "requirements.txt", "requirements-dev.txt"),
    *("requirements-training.txt", "streamlit_app.py", "tests", "training", "ui"),
}


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return listed.stdout.decode().rstrip("\0").split("\0")


def test_the_top_level_is_fixed() -> None:
    """What is worked with beside the project does not get into it."""
    assert {name.split("/")[0] for name in tracked()} == TOP


def test_no_file_names_a_folder_of_this_machine() -> None:
    folders = [f"{folder}/" for folder in (Path.home(), ROOT, ROOT.parent) if folder.name]
    for name in tracked():
        path = ROOT / name
        if path.suffix in {".md", ".py", ".toml", ".yaml", ".json", ".js", ".css", ".html"}:
            text = path.read_text(encoding="utf-8")
            assert not [folder for folder in folders if folder in text], name


def test_the_catalog_is_the_folder_of_pages() -> None:
    listed = [page.path for page in CATALOG if page.path != "streamlit_app.py"]
    assert sorted(listed) == [f"pages/{path.name}" for path in PAGES]
    assert len({page.title for page in CATALOG}) == len(CATALOG)
    assert CATALOG[0].path == "streamlit_app.py"


@pytest.mark.parametrize("path", [*PAGES, ROOT / "streamlit_app.py"], ids=lambda path: path.name)
def test_a_page_is_short_and_has_no_logic_of_its_own(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60


@pytest.mark.parametrize("path", app_files(), ids=module_name)
def test_forbidden_words(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for word, why in FORBIDDEN.items():
        assert word not in text, f"{path.name}: {word}: {why}"


@pytest.mark.parametrize("path", app_files(), ids=module_name)
def test_public_names_of_core_say_what_they_are(path: Path) -> None:
    if not module_name(path).startswith("core."):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert tree.body == [] or ast.get_docstring(tree), f"{path.name} has no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{module_name(path)}.{node.name} has no docstring"


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_every_requirement_is_pinned(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = line.split("#")[0].strip()
        if entry and not entry.startswith("-r "):
            assert re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==[\w.+!]+", entry), f"{path.name}: {entry}"


def test_what_the_app_imports_is_required() -> None:
    """An import that works because another package happens to bring it breaks one day."""
    required = {
        re.split(r"[=\[]", line)[0].lower()
        for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    providers = packages_distributions()
    ours = {"core", "ui", "pages"}
    for path in app_files():
        for found in imports(path):
            top = found.module.split(".")[0]
            if top in ours or top in sys.stdlib_module_names:
                continue
            names = {name.lower().replace("_", "-") for name in providers.get(top, [])}
            assert names & required, f"{path.name} imports {top}, which is not in requirements.txt"


def test_the_models_are_small_and_hold_no_pickle() -> None:
    files = [path for path in (ROOT / "models").rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert path.stat().st_size <= 15 * MEGABYTE, path
        assert path.suffix not in {".bin", ".ckpt", ".pt", ".pth", ".pkl"}, path
    assert sum(path.stat().st_size for path in files) <= 60 * MEGABYTE


def test_the_changelog_knows_the_version() -> None:
    number = VERSION.rsplit(" ", 1)[1]
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", text, re.M)
    assert "## [Unreleased]" in text
    assert released[0] == number


def test_the_readme_names_commands_that_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = set(re.findall(r"\bmake (\w+)", readme))
    assert {"run", "test"} <= named <= targets


def test_the_readmes_links_lead_somewhere() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", readme):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("page", [page for page in CATALOG if page.path.startswith("pages/")])
def test_the_readme_tells_of_every_page(page: object) -> None:
    title = getattr(page, "title", "")
    assert f"**{title}**" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_fold_has_a_key() -> None:
    """Without one it is another fold, and closed, as soon as something comes or goes above it."""
    for path in (ROOT / "ui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".expander"):
                named = {one.arg for one in node.keywords}
                assert "key" in named, f"{path.name}:{node.lineno}"


def test_a_box_for_a_number_says_what_is_out_of_its_bounds() -> None:
    """The browser keeps a number outside a box's own bounds to itself: another one is used."""
    own = ROOT / "ui" / "settings" / "fields.py"
    others = [path for path in (ROOT / "ui").rglob("*.py") if path != own]
    assert not [path for path in others if "number_input(" in path.read_text(encoding="utf-8")]
    assert "min_value" in own.read_text(encoding="utf-8")
