"""What the votes of a sweep say: a sentence an axis, a figure, and the votes as a table."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.output.figures.figures import LINE_COLOURS
from core.output.figures.step_table import write_rows_csv
from core.output.preferences.strengths import FEW_VOTERS, Estimate, Strengths
from core.output.preferences.votes import FIRST, SECOND, TIE, Vote
from core.sweeps.axis import Axis
from core.sweeps.sweep import Sweep

_MOST_NAMED = 4
_LONGEST = 32  # letters of a label
_CHOICES = {FIRST: "first", SECOND: "second", TIE: "tie"}


def sentences(sweep: Sweep, fit: Strengths) -> list[str]:
    """One sentence an axis: which value is preferred to which, and what cannot be told apart."""
    return [_sentence(side, axis, fit) for side, axis in sweep.axes().items()]


def intervals_sentence(fit: Strengths) -> str:
    """What the intervals rest on: votes, or voters; and that these are few."""
    if fit.voters < 2:
        return "Intervals take the votes as independent: they tell of this voter alone."
    if not fit.is_clustered:
        return (
            "Voters had too few pairs in common to be compared: intervals take all votes as "
            "independent, and are too narrow if tastes differ."
        )
    said = f"Intervals are from a bootstrap over the {fit.voters} voters."
    if fit.voters < FEW_VOTERS:
        said += f" {fit.voters} are few: the intervals are wide, and only more voters narrow them."
    return said


def strengths_figure(sweep: Sweep, fit: Strengths) -> go.Figure | None:
    """The strength of each value with its 95 % interval, an axis below the other; None where no
    votes compare any.
    """
    found = {
        side: (axis, points)
        for side, axis in sweep.axes().items()
        if (points := _known(side, axis, fit))
    }
    if not found:
        return None
    counts = [len(axis.values) for axis, _ in found.values()]
    figure = make_subplots(
        rows=len(found),
        cols=1,
        shared_xaxes=True,
        row_heights=[count + 1 for count in counts],
        vertical_spacing=0.2 / len(found),
        subplot_titles=[html.escape(axis.label()) for axis, _ in found.values()],
    )
    for row, (axis, points) in enumerate(found.values(), start=1):
        colour = LINE_COLOURS[(row - 1) % len(LINE_COLOURS)]
        places = list(points)
        figure.add_trace(
            go.Scatter(
                x=[one.value for one in points.values()],
                y=places,
                error_x={
                    "array": [one.high - one.value for one in points.values()],
                    "thickness": 2,
                    "width": 5,
                },
                mode="markers",
                marker={"size": 10, "color": colour},
                text=[html.escape(axis.value_label(index)) for index in places],
                hovertemplate="%{text}: %{x:.2f}<extra></extra>",
                showlegend=False,
            ),
            row=row,
            col=1,
        )
        figure.update_yaxes(
            tickvals=list(range(len(axis.values))),
            ticktext=[_short(axis.value_label(index)) for index in range(len(axis.values))],
            range=[len(axis.values) - 0.5, -0.5],
            zeroline=False,
            row=row,
            col=1,
        )
    figure.update_xaxes(zeroline=True, zerolinewidth=2)
    figure.update_xaxes(title="Strength (log-odds)", row=len(found), col=1)
    figure.update_layout(
        height=90 + sum(34 * (count + 1) + 20 for count in counts),
        margin={"t": 32, "b": 16, "l": 16, "r": 16},
    )
    return figure


def votes_csv(votes: Sequence[Vote], names: Mapping[str, str]) -> bytes:
    """A row a vote, oldest first. Voters are numbered by their first vote; `names` says what a
    picture shows, by digest.
    """
    numbers = {voter: n for n, voter in enumerate(dict.fromkeys(v.voter for v in votes), start=1)}
    return write_rows_csv(
        [
            {
                "voter": numbers[vote.voter],
                "time": datetime.fromtimestamp(vote.at, UTC).isoformat(timespec="seconds"),
                "first": names.get(vote.first, ""),
                "second": names.get(vote.second, ""),
                "choice": _CHOICES[vote.choice],
                "after results": vote.informed,
                "first digest": vote.first,
                "second digest": vote.second,
            }
            for vote in votes
        ]
    )


def _sentence(side: str, axis: Axis, fit: Strengths) -> str:
    known = _known(side, axis, fit)
    if not known:
        return f"{axis.label()}: no vote compares its values."
    best = max(known, key=lambda index: known[index].value)
    against = {
        index: found
        for index in known
        if index != best and (found := fit.between(side, best, index)) is not None
    }
    beaten = [index for index, found in against.items() if found.is_told_apart]
    if not beaten:
        return (
            f"{axis.label()}: {axis.value_label(best)} is ahead, and cannot be told apart from the "
            "others yet."
        )
    beaten.sort(key=lambda index: against[index].value, reverse=True)
    named = [
        f"{axis.value_label(index)} ({_share(against[index])})" for index in beaten[:_MOST_NAMED]
    ]
    more = f" and {len(beaten) - _MOST_NAMED} more" if len(beaten) > _MOST_NAMED else ""
    said = f"{axis.label()} {axis.value_label(best)} is preferred to {', '.join(named)}{more}"
    level = [axis.value_label(index) for index in against if index not in beaten]
    if level:
        more = f" and {len(level) - _MOST_NAMED} more" if len(level) > _MOST_NAMED else ""
        said += f"; it cannot be told apart from {', '.join(level[:_MOST_NAMED])}{more}"
    return f"{said}."


def _known(side: str, axis: Axis, fit: Strengths) -> dict[int, Estimate]:
    """Index -> strength, of the values that votes compare."""
    return {
        index: found
        for index in range(len(axis.values))
        if (found := fit.of(side, index)) is not None
    }


def _share(found: Estimate) -> str:
    """How often it wins where there is no tie."""
    middle, low, high = (100 / (1 + math.exp(-at)) for at in (found.value, found.low, found.high))
    return f"wins {middle:.0f} %, 95 % interval {low:.0f} to {high:.0f} %"


def _short(text: str) -> str:
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return html.escape(short)
