"""EXCERPTS: the lines of this app that do what a page explains, read from their source files.

They are found by the function they stand in and by how their first and last line begin, so that
an excerpt is always the code that runs. A test holds that each is found.
"""

from __future__ import annotations

import ast
import functools
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.diffusion.recipe.guidance.methods import CFG_PP, METHODS

ROOT = Path(__file__).resolve().parents[3]


class ExcerptError(LookupError):
    """The source has changed so that an excerpt is not in it any more."""


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """Lines of `file` inside `function` ("Class.method" too), from the first that begins with
    `first` to the next that begins with `last`; without them the whole function, docstring apart.
    """

    file: str
    function: str
    first: str = ""
    last: str = ""


@dataclass(frozen=True, kw_only=True)
class Lines:
    """An excerpt as found: its source, and the file with the number of its first line."""

    source: str
    file: str
    line: int


DENOISE = "core/diffusion/sampling/batch.py"
GUIDANCE = "core/diffusion/sampling/guidance.py"
PREDICTION = "core/diffusion/sampling/prediction.py"
"""Files of `guide`, and of `to_epsilon` and `to_x0`."""

EXCERPTS: Mapping[str, Excerpt] = {
    "prompt": Excerpt(
        file="core/diffusion/sampling/text_encoder.py",
        function="PromptEncoder._embed",
        first="inputs = tokenized(",
        last="pooled = found",
    ),
    "noise": Excerpt(file="core/diffusion/sampling/noise.py", function="seeded_noise"),
    "call": Excerpt(
        file=DENOISE,
        function="Batch._advance",
        first="rows: list[",
        last="noise_pred = self._unet(",
    ),
    **{
        f"guidance {row.name}": Excerpt(
            file=GUIDANCE, function="renoised" if row.name == CFG_PP else row.function
        )
        for row in METHODS.values()
    },
    "step": Excerpt(
        file=DENOISE,
        function="Batch._step_scheduler",
        first="cell.latents = scheduler.step(",
        last=")[0]",
    ),
    "decode": Excerpt(
        file="core/diffusion/sampling/vae.py",
        function="_decoded",
        first="scaled = model.info.latent_format",
        last="return _with_tiles(",
    ),
    "branch": Excerpt(file="core/diffusion/inside/branch.py", function="_use"),
    "hand over": Excerpt(file="core/diffusion/inside/branch.py", function="_begin_at"),
    "attention": Excerpt(
        file="core/diffusion/inside/attention.py", function="WatchedAttention.__call__"
    ),
    "effects": Excerpt(
        file="core/diffusion/inside/effects.py",
        function="_Look.__call__",
        first="out = self._unet(",
        last="moved = ",
    ),
}


def excerpt(name: str) -> Lines:
    """The lines of `EXCERPTS[name]` as they stand now. Raises ExcerptError."""
    return find(EXCERPTS[name])


@functools.lru_cache
def find(wanted: Excerpt) -> Lines:
    """The lines of any excerpt. Raises ExcerptError where the source no longer has it."""
    path = ROOT / wanted.file
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    node = _function(ast.parse(text), wanted)
    begin = min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1
    end = node.end_lineno or node.lineno
    skipped: set[int] = set()
    if wanted.first:
        begin = _find(lines, wanted.first, begin, end, wanted)
        end = _find(lines, wanted.last, begin + 1, end, wanted) + 1
        end = _statement_end(node, end)
    elif ast.get_docstring(node) is not None:
        doc = node.body[0]
        skipped = set(range(doc.lineno - 1, doc.end_lineno or doc.lineno))
    kept = [lines[i] for i in range(begin, end) if i not in skipped]
    return Lines(
        source=textwrap.dedent("\n".join(kept)).strip("\n"), file=wanted.file, line=begin + 1
    )


def _function(tree: ast.Module, wanted: Excerpt) -> ast.FunctionDef:
    body: list[ast.stmt] = tree.body
    found: ast.stmt | None = None
    for part in wanted.function.split("."):
        found = next(
            (
                node
                for node in body
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == part
            ),
            None,
        )
        if found is None:
            raise ExcerptError(f"{wanted.file} has no {wanted.function} any more")
        body = found.body
    if not isinstance(found, ast.FunctionDef):
        raise ExcerptError(f"{wanted.function} in {wanted.file} is no function")
    return found


def _find(lines: list[str], start: str, begin: int, end: int, wanted: Excerpt) -> int:
    for number in range(begin, end):
        if lines[number].strip().startswith(start):
            return number
    raise ExcerptError(f"{wanted.function} in {wanted.file} has no line {start!r} any more")


def _statement_end(node: ast.FunctionDef, line: int) -> int:
    """The last line of the statement that `line` (from 1) belongs to: none is cut in two."""
    ends = [
        inner.end_lineno
        for inner in ast.walk(node)
        if isinstance(inner, ast.stmt)
        and not hasattr(inner, "body")
        and inner.end_lineno is not None
        and inner.lineno <= line <= inner.end_lineno
    ]
    return max(ends, default=line)
