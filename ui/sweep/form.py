"""Widgets -> Sweep: what varies along columns, rows and pages, over the settings of Generate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import streamlit as st

from core.diffusion.models.load import ModelInfo, list_models
from core.diffusion.recipe.prompt.marks import Marks
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.sweeps.axes import AXES, AxisRow
from core.sweeps.axis import SIDES, Axis
from core.sweeps.reading import read_axis
from core.sweeps.sweep import NewSeed, Sweep, SweepProblem
from core.sweeps.values import ParsedValues, ValuesError, format_values, value_hints
from ui.catalog import SWEEP
from ui.grid.plan import SweepForm
from ui.grid.state import GridState
from ui.help import links_of_setting
from ui.links import (
    BOUND,
    Parameter,
    drop_parameters,
    settings_parameters,
    source_parameters,
    too_long,
)
from ui.settings.controls import default_values, settings_form
from ui.settings.source_controls import source_form, strength_controls
from ui.sweep.layout import is_wide
from ui.sweep.pictures import PICTURES, choose_pictures, fitted, has_pictures, sample_values
from ui.sweep.words import fitting_words, terms_to_order
from ui.sweep_link import NEW_SEED_NAMES, NOTHING, axis_label, key
from ui.views import plain

PREFIX = SWEEP.prefix
FIRST_SEED = 1
STATE = GridState(prefix=PREFIX)
TITLES = {"x": "Columns", "y": "Rows", "z": "Pages"}
SYNTAX = """\
- `1, 2, 5` — these values
- `1-5` — 1, 2, 3, 4, 5
- `1-10 (+3)` — 1, 4, 7, 10
- `0-1 [5]` — five evenly spaced
- `1, 2, .., 6` — the run goes on
- `"a, b"` — quotes keep a comma"""

MARKS_SYNTAX = """
- `a {red|blue} owl` — a red owl, a blue owl
- `__animal__` — one value per line of animal.txt
- `{2$$ and $$a|b}` — a and b, b and a; `{1-2$$a|b}` — a, b and both"""


def parameters() -> tuple[Parameter, ...]:
    """What the address may say of the sweep: it is in it as a whole."""
    names = tuple(axis_label(name) for name in (NOTHING, *AXES))
    axes = [
        parameter
        for side in SIDES
        for parameter in (
            Parameter(field=side, kind="choice", choices=names),
            Parameter(field=f"{side}_values", kind="values"),
            Parameter(field=f"{side}_link", kind="choice", choices=names),
            Parameter(field=f"{side}_link_values", kind="values"),
        )
    ]
    base = (*settings_parameters(list_models(), tuple(SCHEDULERS)), *source_parameters())
    seeds = Parameter(field="new_seed", kind="choice", choices=tuple(NEW_SEED_NAMES.values()))
    return (*base, *axes, seeds)


def defaults(model: ModelInfo) -> dict[str, object]:
    return {**default_values(model), "seed": FIRST_SEED, **dict.fromkeys(SIDES, NOTHING)}


def sweep_form(model: ModelInfo, marks: Marks) -> SweepForm:
    """The panel: three axes, how seeds move, and the base settings. `marks` reads choices and
    wildcards in values.
    """
    _announce()
    axes: dict[str, Axis] = {}
    problems: list[SweepProblem] = []
    places = st.columns(len(SIDES)) if is_wide() else [st.container() for _ in SIDES]
    for side, place in zip(SIDES, places, strict=True):
        with place:
            axis, found = _axis_control(side, marks)
        problems += found
        if axis is not None:
            axes[side] = axis
    new_seed = st.segmented_control(
        "Seeds",
        list(NEW_SEED_NAMES.values()),
        default=NEW_SEED_NAMES[""],
        required=True,
        key=key("new_seed"),
        help="With one seed every cell starts from the same noise, so that only the axes differ.",
        **BOUND,
    )
    with st.expander("Base settings", icon=":material/tune:", key=f"{PREFIX}:base"):
        st.caption("What the axes do not change. The same controls as in Generate.")
        base = settings_form(model, PREFIX, seed=FIRST_SEED, has_count=False).settings
    held = source_form(PREFIX)
    if has_pictures(axes):
        held = held or _strength()
    base = replace(base, **held)
    axes, missing = fitted(axes, base)
    problems += missing
    draws = base.seed == -1
    if draws:
        base = replace(base, seed=STATE.drawn_seed())
    by_name: dict[str, NewSeed] = {name: value for value, name in NEW_SEED_NAMES.items()}
    return SweepForm(
        sweep=Sweep(base=base, new_seed=by_name.get(str(new_seed), ""), **axes),
        problems=tuple(problems),
        draws_seed=draws,
    )


def _strength() -> dict[str, object]:
    """The settings of image-to-image where an axis brings the sources."""
    with st.container(border=True, gap="small"):
        st.caption("Image-to-image: each cell starts from its own picture.")
        return strength_controls(PREFIX, has_posterior=True)


def put_axes(model: ModelInfo, axes: Mapping[str, str], values: Mapping[str, str]) -> None:
    """Set which parameters vary, each with its `values`, by side, or its examples; the others stop
    varying.
    """
    if not (st.session_state.get(key("prompt")) or "").strip() and model.example_prompts:
        st.session_state[key("prompt")] = model.example_prompts[0]
    for side in SIDES:
        st.session_state[key(side)] = NOTHING
        _set_link(side, NOTHING)
    for side, name in axes.items():
        st.session_state[key(side)] = name
        fill_examples(side)
        if side in values:
            st.session_state[key(f"{side}_values")] = values[side]
    st.session_state[key("new_seed")] = NEW_SEED_NAMES[""]


def fill_examples(name: str) -> None:
    """A callback: values to begin with, so that an axis runs as soon as it is chosen."""
    axis = st.session_state[key(name)]
    row = AXES.get(axis)
    text = row.examples if row else ""
    if axis == PICTURES:
        text = sample_values()
    elif row is not None and "search_replace" in row.name:
        searched: str = st.session_state.get(key(row.field)) or ""
        if searched.strip():
            first = fitting_words(searched)
            is_second = row.name.endswith("_2")
            text = format_values(fitting_words(searched, first[0]) if is_second else first)
    if row is not None and row.orders:
        ordered: str = st.session_state.get(key(row.field)) or ""
        text = format_values(terms_to_order(ordered)) or text
    st.session_state[key(f"{name}_values")] = text


def _axis_control(side: str, marks: Marks) -> tuple[Axis | None, list[SweepProblem]]:
    with st.container(gap="xxsmall"):
        name = _choose(side, TITLES[side])
        if name == NOTHING:
            drop_parameters(key(f"{side}_{one}") for one in ("values", "link", "link_values"))
            return None, []
        row = AXES[name]
        text, linked = _values_and_link(side, row)
        found, problems = _read(row, text, marks)
        _say(row, text, found, problems)
        if name == PICTURES:
            choose_pictures(side, found.values if found else ())
        other: Axis | None = None
        if linked != NOTHING:
            other, more = _linked(side, linked, marks)
            problems += more
        else:
            drop_parameters([key(f"{side}_link_values")])
    if found is None or (linked != NOTHING and other is None):
        return None, problems
    values = found.written if other else found.values
    return Axis(name=name, values=values, linked=other), problems


def _choose(name: str, label: str) -> str:
    chosen = st.selectbox(
        label,
        [NOTHING, *AXES],
        key=key(name),
        format_func=axis_label,
        on_change=fill_examples,
        args=(name,),
        **BOUND,
    )
    return cast("str", chosen)


def _values_and_link(side: str, row: AxisRow) -> tuple[str, str]:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        text = st.text_input(
            f"Values of {TITLES[side].lower()}",
            key=key(f"{side}_values"),
            placeholder=row.examples,
            label_visibility="collapsed",
            live=True,
            **BOUND,
        )
        linked = st.session_state.get(key(f"{side}_link")) or NOTHING
        with st.popover(
            "", icon=":material/link:", type="secondary" if linked != NOTHING else "tertiary"
        ):
            st.markdown(SYNTAX + (MARKS_SYNTAX if row.has_marks else ""))
            st.caption(plain(row.about()))
            st.caption(links_of_setting(row.field))
    # Never inside the popover: closed, it would send its old choice again after another sweep
    # was loaded, since the browser hears of the new one only while the list is drawn.
    return text or "", _choose(f"{side}_link", "Move together with")


def _linked(side: str, name: str, marks: Marks) -> tuple[Axis | None, list[SweepProblem]]:
    row = AXES[name]
    text = st.text_input(
        f"with {row.label}",
        key=key(f"{side}_link_values"),
        placeholder=row.examples,
        live=True,
        **BOUND,
    )
    found, problems = _read(row, text or "", marks)
    _say(row, text or "", found, problems)
    if name == PICTURES:
        choose_pictures(f"{side}_link", found.values if found else ())
    return (Axis(name=name, values=found.written) if found else None), problems


def _read(row: AxisRow, text: str, marks: Marks) -> tuple[ParsedValues | None, list[SweepProblem]]:
    if reason := too_long(text):
        return None, [SweepProblem(axis=row.label, value="", reason=reason)]
    try:
        return read_axis(row, text, marks), []
    except ValuesError as error:
        return None, [
            SweepProblem(
                axis=row.label,
                value=problem.text if problem.place else "",
                reason=problem.reason,
            )
            for problem in error.problems
        ]


def _say(
    row: AxisRow, text: str, found: ParsedValues | None, problems: Sequence[SweepProblem]
) -> None:
    """The values as they were understood, or that they were not."""
    if found is None:
        reasons = "; ".join(f"{p.value} {p.reason}" if p.value else p.reason for p in problems)
        st.caption(f":red[{plain(reasons)}]")
        return
    shown = [row.show(value) for value in found.values]
    few = shown if len(shown) <= 8 else [*shown[:6], "…", shown[-1]]
    words = f"{len(shown)}: {' · '.join(few)}"
    if found.duplicates:
        words += f" (given twice: {', '.join(row.show(value) for value in found.duplicates)})"
    st.caption(plain(words))
    for hint in value_hints(text, row.kind):
        st.caption(f":orange[{plain(hint[0].upper() + hint[1:])}.]")


def _announce() -> None:
    """Streamlit writes what a callback set into the address only of controls that it knows of:
    the values of an axis are drawn only once the axis is chosen.
    """
    for side in SIDES:
        for name in (f"{side}_values", f"{side}_link_values"):
            if key(name) not in st.query_params:
                st.session_state.setdefault(key(name), "")


def _set_link(side: str, name: str) -> None:
    st.session_state[key(f"{side}_link")] = name
    st.session_state[key(f"{side}_link_values")] = ""
