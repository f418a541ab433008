"""The words of the app: plain ones for whoever uses it, and docstrings that say what to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.sources import ROOT, app_files

WORDS = """
about above across after against along among around as at before behind below beneath beside
between beyond by despite down during except for from in inside into like near of off on onto
out outside over past per since through throughout till to toward towards under until up upon
via while with within without
"""
PREPOSITIONS = frozenset(WORDS.split())
NEVER_SAID = (
    "take home",
    "take it home",
    "taken home",
    "taking it home",
    "the grid home",
    "telephone",
    "anew",
    "one click",
    "lay over",
    "laid over each other",
    "take away",
    "taken away",
    "on the table",
    "mishap",
    "footage",
    "what towers",
    "believes",
    "believed",
    "no word wants",
    "mean alone",
    "it is here",
    "what it hears",
    "made last",
    "in the eyes of",
    "left as it was",
    "left aside",
    "carries no",
    "carries a text",
    "holds no sweep",
    "web site",
    "frames a second",
    "frame a step",
    "row a cell",
    "take an example",
    "take one of",
    "other words from here",
    "not here any more",
    "is no toml",
    "looks through",
    "look through offline",
)
"""Words that need a legend, and have a plain one: export, phone, again, presets, add, remove."""
TEMPLATES = ("*.html", "*.js")
PLAIN_ROOMS = (
    "ui",
    "pages",
    "core/exports",
    "core/output/effects",
    "core/output/figures",
    "core/output/film",
    "core/output/numbers",
    "core/output/sheet",
    "core/output/texts",
    "core/commands",
)
NEVER_WRITTEN = (
    "anew",
    "in place of",
    "taking a sweep home",
    "takes home",
    "footage",
    "reel",
    "lay_over",
    "takeaway",
)
"""In code, comments and docstrings of PLAIN_ROOMS: again, instead of, export, frames."""


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in app_files():
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def public_things(
    node: ast.Module | ast.ClassDef,
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Functions, classes and methods of a module whose names are not private."""
    for child in node.body:
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if child.name.startswith("_"):
            continue
        yield child
        if isinstance(child, ast.ClassDef):
            yield from public_things(child)


def first_word(text: str) -> str:
    found = re.search(r"\w+", text)
    return found.group().lower() if found else ""


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """String constants with their lines, docstrings left out; the parts of f-strings are in."""
    own = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in own:
            yield node.lineno, node.value


def unwanted(text: str, words: tuple[str, ...] = NEVER_SAID) -> list[str]:
    plain = " ".join(text.lower().split())
    return [word for word in words if re.search(rf"\b{re.escape(word)}\b", plain)]


def test_no_public_docstring_begins_with_a_preposition() -> None:
    """ "Of the model in memory." makes a reader look for its subject in the name."""
    read, found = 0, []
    for path, tree in trees():
        for thing in public_things(tree):
            text = ast.get_docstring(thing)
            read += text is not None
            if text and first_word(text) in PREPOSITIONS:
                found.append(f"{path}:{thing.lineno} {thing.name}: {text.splitlines()[0]}")
    assert read > 500, "the app's docstrings are read"
    assert not found, "\n".join(found)


def test_what_a_person_reads_has_no_word_that_needs_a_legend() -> None:
    read, found = 0, []
    for path, tree in trees():
        for line, text in texts(tree):
            read += " " in text
            found += [f"{path}:{line}: {word!r} in {text!r}" for word in unwanted(text)]
    assert read > 1000, "the app's texts are read"
    assert not found, "\n".join(found)


def test_what_a_developer_reads_has_none_either() -> None:
    read, found = 0, []
    for path in app_files():
        place = path.relative_to(ROOT).as_posix()
        if place.startswith(tuple(f"{room}/" for room in PLAIN_ROOMS)):
            read += 1
            words = unwanted(path.read_text(encoding="utf-8"), NEVER_WRITTEN)
            found += [f"{place}: {word!r}" for word in words]
    assert read > 100, "the rooms are read"
    assert not found, "\n".join(found)


def test_neither_have_the_templates() -> None:
    files = [path for kind in TEMPLATES for path in (ROOT / "core").rglob(kind)]
    assert files, "the offline page's"
    for path in files:
        assert unwanted(path.read_text(encoding="utf-8")) == [], path


def test_the_readme_has_none() -> None:
    assert unwanted((ROOT / "README.md").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text", ["Take it home", "Make only a part anew", "One click:", "Frames a second"]
)
def test_the_old_labels_would_be_found(text: str) -> None:
    assert unwanted(text)


def test_a_word_within_another_is_let_be() -> None:
    assert unwanted("Choose a new one; a renewed run") == []
