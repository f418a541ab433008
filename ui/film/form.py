"""Widgets -> FilmSettings: what the film shows, and how it plays."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from core.exports.films.decoded_frames import Decoder, Kind
from core.exports.films.film_settings import MAX_FPS, MAX_HOLD, MAX_SCALE, FilmSettings
from ui.catalog import FILM
from ui.links import BOUND, Parameter
from ui.settings.fields import bounded

PREFIX = FILM.prefix
Source = Literal["One run", "A sweep"]
SOURCES: tuple[Source, ...] = ("One run", "A sweep")

KINDS: dict[str, tuple[Kind, ...]] = {
    "Both": ("latents", "x0"),
    "Latents": ("latents",),
    "Prediction": ("x0",),
}
DECODERS: dict[str, Decoder] = {"VAE": "vae", "Preview": "preview"}
ORDERS = {"Forward": False, "Forward and back": True}
FIT = "Fit"
SIZES = (FIT, *(f"{scale}×" for scale in range(1, MAX_SCALE + 1)))
FIT_RUN, FIT_CELL = 384, 128
"""Pixels that the longer side of a picture comes near to by whole factors, where it is "Fit"."""

DEFAULT_FPS, DEFAULT_HOLD = 8, 1.0


def key(name: str) -> str:
    return f"{PREFIX}_{name}"


def parameters() -> tuple[Parameter, ...]:
    """Everything that the address may say."""
    return (
        Parameter(field="source", kind="choice", choices=SOURCES),
        Parameter(field="images", kind="text"),
        Parameter(field="sweep", kind="text"),
        Parameter(field="show", kind="choice", choices=tuple(KINDS)),
        Parameter(field="cells", kind="choice", choices=tuple(KINDS)),
        Parameter(field="decoder", kind="choice", choices=tuple(DECODERS)),
        Parameter(field="order", kind="choice", choices=tuple(ORDERS)),
        Parameter(field="fps", kind="int", low=1, high=MAX_FPS),
        Parameter(field="hold", kind="float", low=0, high=MAX_HOLD),
        Parameter(field="size", kind="choice", choices=SIZES),
        Parameter(field="caption", kind="choice", choices=("true", "false")),
        Parameter(field="white", kind="choice", choices=("true", "false")),
        Parameter(field="by_step", kind="choice", choices=("true", "false")),
        Parameter(field="frame", kind="int", low=1, high=100_000),
    )


def defaults() -> dict[str, object]:
    return {"fps": DEFAULT_FPS, "hold": DEFAULT_HOLD, "frame": 1}


def film_form(source: Source, longest: int) -> FilmSettings:
    """The panel; `longest` is the longer side of the largest picture in pixels."""
    of_sweep = source == "A sweep"
    show = _choice(
        "Show",
        list(KINDS),
        "cells" if of_sweep else "show",
        default="Prediction" if of_sweep else "Both",
        help="The noisy latents that the UNet gets at each step, decoded as if they were finished; "
        "or the finished picture that it predicts from them; or both side by side.",
    )
    decoder = _choice(
        "Decoded by",
        list(DECODERS),
        "decoder",
        help="The VAE decodes every frame at full quality, as it does the finished picture. The "
        "preview is a linear map of the latents: instant, small and blurred.",
    )
    order = _choice("Direction", list(ORDERS), "order")
    fps, hold = _pace()
    size = _choice(
        "Size",
        list(SIZES),
        "size",
        help="Enlarging by a whole number keeps every pixel a sharp square.",
    )
    caption = st.toggle(
        "Caption",
        value=True,
        key=key("caption"),
        help="Step, timestep, noise level σ and the guidance gap, burned into every frame.",
        **BOUND,
    )
    white = st.toggle("White background", key=key("white"), **BOUND)
    by_step = of_sweep and st.toggle(
        "One frame per step",
        key=key("by_step"),
        help="Cells of fewer steps finish earlier. Otherwise all begin and finish together.",
        **BOUND,
    )
    return FilmSettings(
        kinds=KINDS[show],
        decoder=DECODERS[decoder],
        caption=caption,
        fps=fps,
        hold=hold,
        there_and_back=ORDERS[order],
        scale=_scale(size, longest, FIT_CELL if of_sweep else FIT_RUN),
        pace="by step" if by_step else "together",
        background="white" if white else "black",
    )


def _pace() -> tuple[int, float]:
    """Frames per second, and for how many seconds the end is held."""
    left, right = st.columns(2, gap="small", vertical_alignment="bottom")
    fps = bounded("Frames per second", 1, MAX_FPS, DEFAULT_FPS, place=left, key=key("fps"), **BOUND)
    hold = bounded(
        "Hold the last frame (s)",
        0.0,
        MAX_HOLD,
        DEFAULT_HOLD,
        place=right,
        step=0.5,
        format="%.1f",
        key=key("hold"),
        **BOUND,
    )
    return fps, hold


def _choice(
    label: str, options: list[str], name: str, *, default: str = "", help: str | None = None
) -> str:
    default = default or options[0]
    chosen = st.segmented_control(
        label, options, default=default, required=True, key=key(name), help=help, **BOUND
    )
    return chosen if chosen in options else default


def _scale(size: str, longest: int, wanted: int) -> int:
    if size == FIT:
        return min(max(round(wanted / max(longest, 1)), 1), MAX_SCALE)
    return SIZES.index(size)
