"""settings: every setting and axis as Markdown, from the table that the app itself reads."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, get_args

from core.commands.console import OK
from core.diffusion.recipe.setting import KIND_NAMES, Group, Setting, plain_number
from core.diffusion.recipe.settings_table import SETTINGS
from core.sweeps.axes import AXES

_INTRODUCTION = """\
# Settings

Every setting of a picture: its label on the pages, its name in links, tables, sweep files and (with
hyphens) on the command line, what AUTOMATIC1111 calls it in a picture's parameters, and the axes
that vary it. `python -m core settings` prints this page."""


def add_to(commands: Any) -> None:
    """Add the command to argparse's subparsers."""
    commands.add_parser("settings", help="print every setting and axis").set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the reference and return the exit code."""
    print(reference())
    return OK


def reference() -> str:
    """The reference, a section a group in the order of the table."""
    parts = [_INTRODUCTION]
    for group in get_args(Group):
        rows = [row for row in SETTINGS.values() if row.group == group]
        if rows:
            parts.append(f"## {group.capitalize()}")
            parts += ["\n".join(_lines(row)) for row in rows]
    return "\n\n".join(parts)


def _lines(row: Setting) -> Iterator[str]:
    yield f"### {row.label}\n"
    yield f"{row.help}\n"
    yield f"- name: `{row.name}`"
    values = ", ".join(row.choices) if row.choices else KIND_NAMES[row.kind]
    if row.bounds is not None:
        low, high = row.bounds
        values += f" from {low:.10g} to {high:.10g}"
    yield f"- values: {values}"
    default = plain_number(row.default).lower() if row.kind is bool else plain_number(row.default)
    default = "the model's own" if row.from_model else default or "empty"
    yield f"- default: {default}"
    if row.web_ui is not None and row.web_ui.keys:
        yield f"- in AUTOMATIC1111's text: {', '.join(row.web_ui.keys)}"
    for axis in AXES.values():
        if axis.field == row.name:
            note = f". {axis.note}" if axis.note else ""
            yield f"- axis {axis.label}: `{axis.examples}`{note}"
