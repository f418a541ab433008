"""Term: a row of the glossary, and Seen: the place of the app where it can be looked at."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from core.sweeps.axes import AXES

Group = Literal[
    "Model", "Noise", "Prediction", "Sampler", "Guidance", "Prompt", "Source", "Numbers", "Evidence"
]
GROUPS: tuple[Group, ...] = (
    "Model",
    "Noise",
    "Prediction",
    "Sampler",
    "Guidance",
    "Prompt",
    "Source",
    "Numbers",
    "Evidence",
)

PROMPT = "a red apple on a blue background, flat style"
"""What a sweep that a term links to begins with."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A page of the app by its title, and its parameters in the address, without their prefix."""

    page: str
    values: Mapping[str, str | list[str]] = field(default_factory=dict[str, str | list[str]])


@dataclass(frozen=True, kw_only=True)
class Term:
    """A word. `what` and `more` are a sentence each, of at most 25 words.

    `key` stands in the address. `symbol` is LaTeX, "" where a word has none. `source` is a paper
    with its year, or the function of a library. `also` are other names by which it is searched.
    `settings`, `figures` and `quantities` are the rows of SETTINGS, of STEP_FIGURES and the
    scheduler lab's figures, and of QUANTITIES that show it: their texts link to it.
    """

    key: str
    name: str
    group: Group
    what: str
    more: str
    source: str
    seen: Seen
    symbol: str = ""
    also: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    quantities: tuple[str, ...] = ()
    related: tuple[str, ...] = ()

    def matches(self, text: str) -> bool:
        """Return whether every word of `text` stands in the term, whatever its case or accents."""
        own = folded(" ".join((self.name, self.key, *self.also, self.what, self.more, self.source)))
        return all(word in own for word in folded(text).split())

    def is_named(self, text: str) -> bool:
        """Return whether `text` is the beginning of one of its names."""
        wanted = folded(text).strip()
        return any(folded(name).startswith(wanted) for name in (self.name, self.key, *self.also))


def folded(text: str) -> str:
    """Lower case, without accents: "Kynkäänniemi" is found by "kynkaanniemi"."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


def sweep(x: str, values: str = "", **more: str) -> Seen:
    """The Sweep page with one axis; `more` are other parameters of its address."""
    row = AXES[x]
    return Seen(
        page="Sweep",
        values={"prompt": PROMPT, "x": row.label, "x_values": values or row.examples, **more},
    )


def by_seeds(x: str, values: str, view: str) -> Seen:
    """The Sweep page with one axis and eight seeds, and a view of it."""
    return sweep(x, values, y=AXES["seed"].label, y_values="1-8", view=view)
