"""Settings in the address: the names of the parameters, and what a broken link says.

Widgets bound to the address drop a value that they cannot take without a word; this says it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote_plus

import streamlit as st
from streamlit.errors import StreamlitAPIException
from streamlit.runtime.state import QueryParamsProxy

from core.diffusion.models.load import BUNDLED, list_models
from core.diffusion.recipe.limits import MAX_TEXT
from core.diffusion.recipe.setting import Setting
from core.diffusion.recipe.settings_table import SETTINGS, SOURCE_FIELDS, current_name
from ui.catalog import IMAGE_TO_IMAGE, SWEEP
from ui.views import show_warning

BOUND: dict[str, Any] = {"bind": "query-params", "persist_state": "session"}
"""Options of a control whose value stands in the address and outlives its page."""

MAX_COUNT = 16
SOURCE_PAGES = (SWEEP.prefix, IMAGE_TO_IMAGE.prefix)
"""The pages whose settings may have a source picture."""

MOST_RUNS = 64
"""The largest number of runs in one figure."""


MOST_IN_ADDRESS = 100_000
"""Characters of an axis' values as the address has them, a comma as %2C: of an address of some
120,000 the server refuses to load the page again.
"""

MOST_SAID = 60
"""How many characters of a value a message quotes."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a page: `field` is its name without the page's prefix.

    A "range" is a slider with two handles: two whole numbers, the parameter given twice. "values"
    is the text of an axis, which may be longer than another.
    """

    field: str
    kind: Literal["int", "float", "range", "text", "values", "choice"]
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()

    def problem(self, text: str) -> str:
        """What is wrong with `text` as a value, "" if nothing."""
        if self.kind == "values":
            return too_long(text)
        if len(text) > MAX_TEXT:
            return f"has {len(text):,} characters; up to {MAX_TEXT:,} are read"
        if self.kind == "text":
            return ""
        if self.kind == "choice":
            return "" if text in self.choices else "is not one of the choices"
        try:
            value = float(text) if self.kind == "float" else int(text)
        except ValueError:
            return "is not a number" if self.kind == "float" else "is not a whole number"
        # By comparison alone: a whole number may be too large for a float.
        if value != value or not self.low <= value <= self.high or value in (-math.inf, math.inf):
            return f"is outside {self.low:g} to {self.high:g}"
        return ""


def too_long(text: str) -> str:
    """Why the address cannot keep the values of an axis; "" where it can."""
    length = length_in_address(text)
    if length <= MOST_IN_ADDRESS:
        return ""
    return f"has {length:,} characters in the address, which keeps {MOST_IN_ADDRESS:,}: shorten it"


def length_in_address(text: str) -> int:
    return len(quote_plus(text))


def settings_parameters(models: Sequence[str], schedulers: Sequence[str]) -> tuple[Parameter, ...]:
    """Every setting of an image and the number of images; a seed of -1 draws one."""
    known = {"model": tuple(models), "scheduler": tuple(schedulers)}
    rows = [row for name, row in SETTINGS.items() if name not in SOURCE_FIELDS]
    count = Parameter(field="count", kind="int", low=1, high=MAX_COUNT)
    return (*(_parameter(row, known.get(row.name, ())) for row in rows), count)


def source_parameters() -> tuple[Parameter, ...]:
    """The settings of image-to-image, of the pages that have them."""
    return tuple(_parameter(SETTINGS[name]) for name in SOURCE_FIELDS)


def _parameter(row: Setting, choices: tuple[str, ...] = ()) -> Parameter:
    """A setting in the address, as its control writes it there."""
    choices = choices or row.link_choices or row.choices
    if row.kind is bool:
        choices = ("true", "false")
    if choices:
        return Parameter(field=row.name, kind="choice", choices=choices)
    if row.bounds is None:
        return Parameter(field=row.name, kind="text")
    low = -1 if row.draws else row.bounds[0]
    kind = "int" if row.kind is int else "float"
    return Parameter(field=row.name, kind=kind, low=low, high=row.bounds[1])


def check_address(prefix: str, parameters: Sequence[Parameter]) -> bool:
    """Say once what a link had that cannot be used. True when something was found just now.

    The message stays until `forget_problems`: the address itself is mended at once. It also says
    which model `put_settings` had to leave out.
    """
    _rename_earlier(prefix, parameters)
    found = broken_parameters(prefix, parameters, st.query_params)
    # Values that were typed here stand in their control, which says itself that they are too long.
    for one in parameters:
        name = f"{prefix}_{one.field}"
        if one.kind == "values" and name in found and st.session_state.get(name) == found[name][0]:
            del found[name]
    is_new = bool(found) and found != st.session_state.get(f"{prefix}:broken")
    if is_new:
        st.session_state[f"{prefix}:broken"] = found
        st.session_state[f"{prefix}:mend"] = list(found)
        if drop_parameters(found):
            # Before any control is drawn: some values (1e309) break the one that is bound to them.
            st.rerun()
    if said := st.session_state.get(f"{prefix}:broken"):
        lines = "\n\n".join(f"{name} = {_cut(text)!r} {why}." for name, (text, why) in said.items())
        show_warning(
            "Part of the link could not be used", lines, "The default is used in its place."
        )
    if missing := st.session_state.get(f"{prefix}:missing_model"):
        used = st.session_state.get(f"{prefix}_model") or BUNDLED
        show_warning(
            "Its model is not here",
            f"This was made with {missing}, which is not on this machine. {used} is used instead, "
            "and makes other pictures.",
        )
    return is_new


def drop_parameters(names: Iterable[str]) -> bool:
    """Take parameters out of the address, as of controls that are no longer drawn. False where a
    control that is drawn is bound to one.
    """
    is_whole = True
    for name in names:
        is_gone = name not in st.query_params
        with suppress(StreamlitAPIException, KeyError):
            del st.query_params[name]
            is_gone = True
        is_whole = is_whole and is_gone
    return is_whole


def _cut(text: str) -> str:
    return text if len(text) <= MOST_SAID else f"{text[:MOST_SAID]}…"


def _rename_earlier(prefix: str, parameters: Sequence[Parameter]) -> None:
    """A link of an older version: what its settings were called then sets those of today."""
    known = {parameter.field: parameter for parameter in parameters}
    for name in list(st.query_params):
        field = name.removeprefix(f"{prefix}_")
        now = current_name(field)
        if field == name or now == field or now not in known:
            continue
        text = st.query_params.pop(name)
        key = f"{prefix}_{now}"
        if known[now].problem(text):
            st.query_params.setdefault(key, text)  # which is said under today's name
        elif key not in st.query_params:
            st.session_state[key] = _from_address(now, text)


def broken_parameters(
    prefix: str, parameters: Sequence[Parameter], query: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """Name -> (value, what is wrong) of each parameter under `prefix` that cannot be used."""
    known = {f"{prefix}_{parameter.field}": parameter for parameter in parameters}
    found: dict[str, tuple[str, str]] = {}
    for name, text in query.items():
        if name in known:
            for one in _given(query, name, text) if known[name].kind == "range" else [text]:
                if why := known[name].problem(one):
                    found[name] = (one, why)
        elif name.startswith(f"{prefix}_"):
            found[name] = (text, "is not a parameter of this page")
    return found


def _given(query: Mapping[str, str], name: str, text: str) -> list[str]:
    """Every value of a parameter that stands in the address more than once."""
    return query.get_all(name) if isinstance(query, QueryParamsProxy) else [text]


def forget_problems(prefix: str) -> None:
    """Also of a model that was left out: at the next click the one that is used is chosen."""
    st.session_state.pop(f"{prefix}:broken", None)
    st.session_state.pop(f"{prefix}:missing_model", None)


def put_settings(prefix: str, values: Mapping[str, object]) -> dict[str, str]:
    """Set a page's controls before they are drawn: in a callback, or from another page.

    Returns them as parameters of the address. A model that this machine does not have is left
    out: the page keeps its own, and says so.
    """
    forget_problems(prefix)
    query: dict[str, str] = {}
    for field, value in values.items():
        if field == "model" and value not in list_models():
            st.session_state[f"{prefix}:missing_model"] = value
            continue
        if field in SOURCE_FIELDS and prefix not in SOURCE_PAGES:
            continue
        if field == "posterior" and value == "latents":
            continue  # the source itself says it
        st.session_state[f"{prefix}_{field}"] = value
        shown = _in_address(field, value)
        query[f"{prefix}_{field}"] = shown
    return query


def _in_address(field: str, value: object) -> str:
    """A value as its control writes it: a choice by its label there."""
    if isinstance(value, bool):
        return str(value).lower()
    row = SETTINGS.get(field)
    if row is not None and row.link_choices and value in row.choices:
        return row.link_choices[row.choices.index(str(value))]
    return str(value)


def _from_address(field: str, text: str) -> object:
    """The value of a text that is one, as the control has it."""
    row = SETTINGS[field]
    if row.kind is bool:
        return text == "true"
    if text in row.link_choices:
        return row.choices[row.link_choices.index(text)]
    return row.kind(text)


def put_runs(prefix: str, digests: Sequence[str]) -> dict[str, str]:
    """Set whose runs a page shows, as `put_settings` does its controls."""
    name = f"{prefix}_images"
    kept = list(dict.fromkeys(digests))[:MOST_RUNS]
    st.session_state[name] = kept
    return {name: ",".join(kept)} if kept else {}


def mend_address(prefix: str, defaults: Mapping[str, object]) -> None:
    """Put the default where a broken value was cut to size instead of dropped ("1.5" to 1)."""
    for name in st.session_state.pop(f"{prefix}:mend", ()):
        field = name.removeprefix(f"{prefix}_")
        if field in defaults:
            st.session_state[name] = defaults[field]
