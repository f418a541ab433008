"""GridState: what one grid on one page remembers. No page reads another page's state."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import streamlit as st

from core.diffusion.settings import MAX_SEED
from core.sweeps.plan import Plan
from core.sweeps.sweep import Sweep
from ui import clicks

Place = tuple[int, int, int]
"""Column, row and page of a cell, counted from 0."""

SIDES = ("A", "B")
"""The two cells that are compared."""


@dataclass(frozen=True, kw_only=True)
class GridState:
    """The session's entries of one grid, all under the prefix of its page.

    Grids of one page that take turns differ in `grid`, so that a cell opened in one does not open
    in another. The click and the seed belong to the page, which has one button and one seed.
    """

    prefix: str
    grid: str = ""

    def name(self, what: str) -> str:
        """The name of an entry or of a widget that is not in the address."""
        return ":".join(part for part in (self.prefix, self.grid, what) if part)

    def look(self, field: str) -> object:
        """What a control of the page says of how its grid looks; None where it has none."""
        return st.session_state.get(f"{self.prefix}_{field}")

    # The click

    def note_click(self) -> None:
        """Make the click's token: for the button's callback."""
        clicks.note_click(self.prefix)

    @property
    def is_clicked(self) -> bool:
        return clicks.is_clicked(self.prefix)

    @contextmanager
    def click(self) -> Generator[str | None]:
        """Yield the click's token, None without one, and consume it."""
        with clicks.click(self.prefix) as token:
            yield token

    # The cell that is open

    @property
    def opened(self) -> Place | None:
        return st.session_state.get(self.name(clicks.OPENED))

    def open(self, place: Place) -> None:
        """Remember the cell that was clicked; the next run of the page shows it."""
        st.session_state[self.name(clicks.OPENED)] = place
        st.session_state[self.name(clicks.CLICKED)] = True

    def turn_to(self, place: Place) -> None:
        """Show another cell in the place of the one that is open."""
        st.session_state[self.name(clicks.OPENED)] = place

    def close(self) -> None:
        st.session_state.pop(self.name(clicks.OPENED), None)

    def take_clicked(self) -> bool:
        """Return whether a cell was clicked since this was asked last."""
        return bool(st.session_state.pop(self.name(clicks.CLICKED), False))

    # Cells to measure against and to compare, also chosen by widgets of these names

    @property
    def reference(self) -> str | None:
        """The digest of the cell that the others are measured against."""
        return st.session_state.get(self.name("reference"))

    def refer_to(self, digest: str) -> None:
        st.session_state[self.name("reference")] = digest

    def picked(self, side: str) -> int | None:
        """The index of the cell that is compared as "A" or "B"."""
        return st.session_state.get(self.pick_name(side))

    def pick(self, side: str, index: int) -> None:
        st.session_state[self.pick_name(side)] = index

    def pick_name(self, side: str) -> str:
        return self.name(f"pick_{side.lower()}")

    # The plan

    @property
    def planned(self) -> tuple[Sweep, set[str], Plan] | None:
        """The last plan, of which sweep, and which of its digests were stored."""
        return st.session_state.get(self.name("planned"))

    def keep_plan(self, sweep: Sweep, stored: set[str], plan: Plan) -> None:
        st.session_state[self.name("planned")] = (sweep, stored, plan)

    # The seed

    def drawn_seed(self) -> int:
        """The seed that stands for -1, the same until it is settled."""
        return st.session_state.setdefault(f"{self.prefix}:drawn", secrets.randbelow(MAX_SEED + 1))

    def settle_seed(self) -> None:
        """Put the drawn seed in the place of -1, so that a grid can be extended and linked to: for
        the callback of a click that runs.
        """
        control = f"{self.prefix}_seed"
        if st.session_state.get(control) == -1:
            st.session_state[control] = self.drawn_seed()
            st.session_state.pop(f"{self.prefix}:drawn", None)
