"""The effects of a grid as one web page with its figures, which needs nothing else."""

from __future__ import annotations

import html

import plotly.graph_objects as go

from core.exports.effects.words import (
    difference_sentence,
    methods,
    overall,
    power_sentence,
    share_sentence,
)
from core.output.effects.result import Effects
from core.output.figures.effect_figures import curve_figure, difference_figure, share_figure
from core.output.texts.a1111.parameters import VERSION

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#222;background:#fff}h2{margin-top:2.5rem}small{color:#666}"
)


def effects_page(effects: Effects) -> bytes:
    """Write each measure's sentences, curves, differences and shares; then the methods and what
    was left out. Plotly stands within it once, so that it works offline.
    """
    parts: list[str] = []
    has_script = False

    def drawn(figure: go.Figure) -> str:
        nonlocal has_script
        text = figure.to_html(full_html=False, include_plotlyjs=not has_script)
        has_script = True
        return text

    for measure in effects.measures:
        parts.append(f"<h2>{html.escape(measure.label)}</h2>")
        for one in overall(effects, measure.name):
            said = f"{difference_sentence(effects, one)} {power_sentence(effects, one)}"
            parts.append(f"<p>{html.escape(said.strip())}</p>")
        parts += [
            drawn(curve_figure(effects, c)) for c in effects.curves if c.measure == measure.name
        ]
        found = [one for one in effects.differences if one.measure == measure.name]
        if found and not effects.is_once:
            parts.append(drawn(difference_figure(effects, found)))
        parts += [
            f"<p>{html.escape(share_sentence(effects, table))}</p>{drawn(share_figure(table))}"
            for table in effects.shares
            if table.measure == measure.name and table.shares
        ]
    pictures = [table for table in effects.shares if table.is_picture and table.shares]
    parts += [drawn(share_figure(table)) for table in pictures]
    parts.append(f"<h2>Methods</h2><p>{html.escape(methods(effects))}</p>")
    parts += [
        f"<p><small>{html.escape(s)}</small></p>" for s in (*effects.missing, *effects.left_out)
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Effects</title>'
        f"<style>{_STYLE}</style></head><body><h1>Effects</h1>\n{body}\n"
        f"<p><small>{html.escape(VERSION)}</small></p></body></html>"
    ).encode("utf-8", "replace")
