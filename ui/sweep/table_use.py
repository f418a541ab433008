"""What both ways to a table of settings share: how it becomes the sweep, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.diffusion.models.load import ModelError, describe
from core.diffusion.recipe.settings_table import label_of
from core.diffusion.settings import GenerationSettings
from core.sweeps.sweep import Sweep
from core.sweeps.tables.table import SettingsTable, TableError, TableProblem
from core.sweeps.values import format_values
from ui.links import MOST_IN_ADDRESS, length_in_address
from ui.views import plain, show_error

MOST_LINES = 12


def sweep_of(base: GenerationSettings, table: SettingsTable) -> Sweep:
    """The table as the columns of a sweep. Raises TableError where the address cannot hold it."""
    axis = table.axis()
    length = length_in_address(format_values(axis.values))
    if length > MOST_IN_ADDRESS:
        fitting = len(axis.values) * MOST_IN_ADDRESS // length
        reason = (
            f"is too long for this page, which keeps {MOST_IN_ADDRESS:,} characters of it: about "
            f"{fitting:,} of its {len(axis.values):,} rows; the command line takes all: "
            "python -m core sweep --table FILE"
        )
        raise TableError([TableProblem(row=0, column="", reason=reason)])
    return Sweep(base=base, x=axis)


def scale_factor(base: GenerationSettings) -> int:
    """Pixels of a latents' place of the base settings' model; 8 where it is not here."""
    try:
        return describe(base.model).vae_scale_factor
    except ModelError:
        return 8


def show_problems(title: str, problems: Sequence[TableProblem]) -> None:
    """A line each, of not too many."""
    lines = [_sentence(str(problem)) for problem in problems[:MOST_LINES]]
    if len(problems) > MOST_LINES:
        lines.append(f"And {len(problems) - MOST_LINES} more.")
    show_error(title, "\n\n".join(lines))


def say_table(table: SettingsTable) -> None:
    """How many rows of which settings, and what a reader should know of them."""
    count = len(table.rows)
    columns = ", ".join(map(label_of, table.columns))
    st.caption(plain(f"{count:,} row{'s' * (count != 1)}: {columns}"))
    say_notes(table)


def say_notes(table: SettingsTable) -> None:
    """What was taken together or left as it was."""
    for note in table.notes[:MOST_LINES]:
        st.caption(f":orange[{plain(_sentence(note))}]")
    if len(table.notes) > MOST_LINES:
        st.caption(f"And {len(table.notes) - MOST_LINES} notes more.")


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "." * (not words.endswith("?"))
