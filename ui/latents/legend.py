"""The legend of the Latents page: one for all its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from jinja2 import Environment

from core.output.figures.step_runs import SCALE, Colouring, Run, differing
from ui.latents.form import PREFIX, colour_form
from ui.views import plain

LEGEND = f"{PREFIX}-legend"
"""The key of its container, and its class name in the page."""

MOST_NAMED = 16
_STROKES = {"solid": "", "dash": "6 3", "dashdot": "6 3 1.5 3", "longdash": "10 3"}

_TEMPLATE = Environment(autoescape=True).from_string(
    """<div style="display:flex;flex-wrap:wrap;gap:4px 16px;align-items:center;font-size:14px">
{% if low is not none -%}
<span style="display:flex;gap:8px;align-items:center"><span>{{ low }}</span>
<span style="width:160px;height:8px;border-radius:4px;background:linear-gradient(to right,
{{ stops }})"></span><span>{{ high }}</span></span>
{%- else -%}
{% for name in names %}<span style="display:flex;gap:6px;align-items:center">
<svg width="24" height="8"><line x1="0" y1="4" x2="24" y2="4" stroke="{{ name.colour }}"
stroke-width="3" stroke-dasharray="{{ name.stroke }}"></line></svg><span>{{ name.text }}</span>
</span>{% endfor %}
{% if more %}<span>and {{ more }} more</span>{% endif %}
{%- endif %}
</div>"""
)


@dataclass(frozen=True, kw_only=True)
class _Name:
    text: str
    colour: str
    stroke: str


def show_legend(runs: Sequence[Run]) -> Colouring:
    """What the colours of the curves mean: a scale for numbers, else names. None for one run."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=LEGEND):
        if not differing(runs):
            return colour_form(runs)
        st.caption("Coloured by", width="content")
        colouring = colour_form(runs)
        if len(differing(runs)) == 1:
            st.markdown(f"**{plain(colouring.title)}**", width="content")
        _show_scale(colouring)
    return colouring


def _show_scale(colouring: Colouring) -> None:
    names: dict[str, _Name] = {}
    for text, colour, dash in zip(
        colouring.names, colouring.colours, colouring.dashes, strict=True
    ):
        names.setdefault(text, _Name(text=text, colour=colour, stroke=_STROKES[dash]))
    shown = list(names.values())[:MOST_NAMED]
    st.html(
        _TEMPLATE.render(
            low=None if colouring.low is None else f"{colouring.low:g}",
            high=None if colouring.high is None else f"{colouring.high:g}",
            stops=", ".join(f"{colour} {share:.0%}" for share, colour in SCALE),
            names=shown,
            more=len(names) - len(shown),
        ),
        width="content",
    )
