"""The effects of a grid as one web page with its figures, which needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

import plotly.graph_objects as go

from core.output.effects.result import Effects, ShareTable
from core.output.effects.words import (
    difference_sentence,
    methods,
    overall,
    power_sentence,
    share_sentence,
    term_sentence,
)
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

    def shares_of(tables: Sequence[ShareTable]) -> Iterator[str]:
        """Nothing where one cell has all there is to tell apart."""
        for table in tables if effects.has_parts else ():
            yield f"<p>{html.escape(share_sentence(effects, table))}</p>"
            if table.shares:
                yield drawn(share_figure(table))
                lines = (html.escape(term_sentence(table, one)) for one in table.shares)
                yield f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"

    for measure in effects.measures:
        parts.append(f"<h2>{html.escape(measure.label)}</h2>")
        for one in overall(effects, measure.name):
            said = difference_sentence(effects, one)
            if not one.is_shown:
                said = f"{said} {power_sentence(effects, one)}"
            parts.append(f"<p>{html.escape(said.strip())}</p>")
        parts += [
            drawn(curve_figure(effects, c)) for c in effects.curves if c.measure == measure.name
        ]
        found = [one for one in effects.differences if one.measure == measure.name]
        if found and not effects.is_once:
            parts.append(drawn(difference_figure(effects, found)))
        parts += shares_of([one for one in effects.shares if one.measure == measure.name])
    pictures = [table for table in effects.shares if table.is_picture]
    if pictures:
        parts.append("<h2>The pictures themselves</h2>")
        parts += shares_of(pictures)
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
