"""What a variation does in numbers: to the noise, method by method, and to the pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import streamlit as st

from core.diffusion.inside.noise_numbers import NoiseNumbers
from core.diffusion.recipe.noise_methods import METHODS
from core.diffusion.settings import GenerationSettings
from core.exports.likeness import Likeness
from core.output.figures.genealogy_figure import distance_figure
from ui.grid.plan import show_plan
from ui.runs.tasks import await_task, request_of
from ui.runtime import Runtime
from ui.variations.children import Children, made_children
from ui.variations.form import PREFIX, middle_of
from ui.views import plain


@dataclass(frozen=True, kw_only=True)
class Distance:
    """One way to say how far two pictures lie apart."""

    label: str
    of: Callable[[Likeness], float | None]
    note: str


DISTANCES = (
    Distance(
        label="SSIM to the parent",
        of=lambda one: one.ssim,
        note="1 is the same picture: it compares structure in small windows.",
    ),
    Distance(
        label="RMSE to the parent",
        of=lambda one: one.rmse,
        note="0 is the same picture: it compares each pixel, 0 to 255.",
    ),
    Distance(
        label="CLIP cosine to the parent",
        of=lambda one: one.clip,
        note="1 is the same to CLIP: it compares what the pictures show.",
    ),
)


def show_noise(runtime: Runtime, children: Children) -> None:
    """Every method's noise beside the source's, at the panel's strength and variation seed."""
    settings = children.form.sweep.base
    if not settings.variation_region:
        settings = replace(settings, variation_region=middle_of(settings))
    found: list[NoiseNumbers] | None = await_task(runtime, request_of("noise numbers", settings))
    if found is None:
        return
    strength, seed = settings.variation_strength, settings.variation_seed
    st.caption(f"Strength {strength:g} towards variation seed {seed}. Change them in the panel.")
    where = {
        "region": f" ({settings.variation_region})",
        "channel": f" ({settings.variation_channel})",
    }
    names = [
        METHODS[one.method].label + where.get(one.method, "") if one.method else "The source"
        for one in found
    ]
    here = [one.method == settings.variation_method for one in found]
    rows = {
        "Noise": [
            f"**{plain(n)}**" if is_here else plain(n)
            for n, is_here in zip(names, here, strict=True)
        ],
        "Mean": [_number(one, one.mean) for one in found],
        "Deviation": [_number(one, one.std) for one in found],
        "Norm": [_number(one, one.norm, 2) for one in found],
        "Cosine to the source": [_number(one, one.cosine) for one in found],
    }
    st.table(rows, hide_index=True)
    for one in found:
        if one.problem:
            st.caption(plain(f"{METHODS[one.method].label}: {one.problem}."))
    st.caption(
        "The sampler expects a deviation of 1. What is above it stays in the picture, as grain and "
        "clipped colours. The cosine says how much of the source is left."
    )


def _number(one: NoiseNumbers, value: float, digits: int = 4) -> str:
    return "–" if one.problem else f"{value:.{digits}f}"


def show_distances(runtime: Runtime, children: Children) -> None:
    """How far each child lies from its parent, against the strength."""
    source = children.source
    if children.plan.problems:
        show_plan(children.form, children.plan)
        return
    board = children.board(runtime)
    found = made_children(board)
    if not found:
        st.info("Make the children first: its distances to the parent are plotted here.")
        return
    missing = len(board.cells) - len(found)
    if missing:
        st.caption(f"{missing} of {len(board.cells)} children are not made yet.")
    pairs = [(source.digest, digest) for _, _, digest in found]
    measured: dict[tuple[str, str], Likeness] | None = await_task(
        runtime,
        request_of(
            "likeness",
            GenerationSettings(model=source.settings.model),
            pairs=pairs,
            with_clip=True,
        ),
    )
    if measured is None:
        return
    by_seed: dict[int, list[tuple[float, Likeness]]] = {}
    for strength, seed, digest in found:
        by_seed.setdefault(seed, []).append((strength, measured[source.digest, digest]))
    is_ladder = any(len(points) > 1 for points in by_seed.values())
    for distance in DISTANCES:
        lines = {
            f"Seed {seed}": [
                (strength if is_ladder else float(seed), value)
                for strength, one in points
                if (value := distance.of(one)) is not None
            ]
            for seed, points in by_seed.items()
        }
        if not is_ladder:
            lines = {"Children": [point for points in lines.values() for point in points]}
        if not any(lines.values()):
            st.caption(f"{distance.label}: cannot be measured for these pictures.")
            continue
        x_title = "Strength" if is_ladder else "Variation seed"
        st.plotly_chart(
            distance_figure(lines, x_title, distance.label),
            key=f"{PREFIX}:distance:{distance.label}",
            width="stretch",
        )
        st.caption(distance.note)
    if not is_ladder:
        st.caption("A ladder of strengths draws these as curves over the strength.")
