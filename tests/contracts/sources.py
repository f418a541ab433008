"""The app's source files and what each of them imports, read without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APP_FOLDERS = ("core", "ui", "pages")


@dataclass(frozen=True, kw_only=True)
class Import:
    """One import: `module` as written, `names` of a from-import, and where it stands.

    `is_lazy` inside a function; `is_for_types` under `if TYPE_CHECKING`, which never runs.
    """

    module: str
    names: tuple[str, ...]
    is_lazy: bool
    is_for_types: bool


def app_files() -> list[Path]:
    """streamlit_app.py and every module of core, ui and pages."""
    found = [path for name in APP_FOLDERS for path in sorted((ROOT / name).rglob("*.py"))]
    return [*found, ROOT / "streamlit_app.py"]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(path: Path) -> list[Import]:
    return list(_walk(ast.parse(path.read_text(encoding="utf-8")), lazy=False, types=False))


def _walk(node: ast.AST, *, lazy: bool, types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(module=alias.name, names=(), is_lazy=lazy, is_for_types=types)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            names = tuple(alias.name for alias in child.names)
            yield Import(module=child.module or "", names=names, is_lazy=lazy, is_for_types=types)
        else:
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            guarded = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            yield from _walk(child, lazy=lazy or is_function, types=types or guarded)
