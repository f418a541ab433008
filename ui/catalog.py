"""CATALOG: one row a page. Navigation, the home page and "Send to" read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of the app. `receives` says what "Send to" may hand it; None means nothing.
    `has_model` puts a choice of the model into the sidebar: whoever makes pictures of what is
    there already goes on with the model that made it.

    `prefix` begins the name of each of its parameters in the address, so that two pages never
    share one by accident.
    """

    path: str
    title: str
    icon: str
    summary: str
    prefix: str
    receives: Literal["settings", "image"] | None = None
    has_model: bool = False


HOME = Page(
    path="streamlit_app.py",
    title="Home",
    icon=":material/wb_iridescent:",
    summary="What this app is, and the latest pictures.",
    prefix="home",
)
GENERATE = Page(
    path="pages/Generate.py",
    title="Generate",
    icon=":material/photo_camera:",
    summary="Type a prompt and watch the picture being denoised, step by step. Every setting of "
    "the sampler can be changed, and is part of the address.",
    prefix="generate",
    receives="settings",
    has_model=True,
)
SWEEP = Page(
    path="pages/Sweep.py",
    title="Sweep",
    icon=":material/grid_on:",
    summary="Change one setting along the columns, another down the rows, and watch the whole grid "
    "denoise at once. Compare any two cells, measure them, export the grid.",
    prefix="sweep",
    receives="settings",
    has_model=True,
)
GALLERY = Page(
    path="pages/Gallery.py",
    title="Gallery",
    icon=":material/photo_library:",
    summary="Every picture made here, newest first, with all its settings: search, filter, open, "
    "and send one to another page.",
    prefix="gallery",
    receives="image",
)
IMAGE_TO_IMAGE = Page(
    path="pages/Image_to_image.py",
    title="Image to image",
    icon=":material/imagesmode:",
    summary="Add noise to a picture and denoise it with a prompt: compare strengths side by side, "
    "see what each one starts from, or inpaint only part of the picture.",
    prefix="img2img",
    receives="image",
    has_model=True,
)
LATENTS = Page(
    path="pages/Latents.py",
    title="Latents",
    icon=":material/ssid_chart:",
    summary="Plots of what happens between noise and picture: norms, guidance and settling, of one "
    "run or of several in one figure, and the latents themselves at any step.",
    prefix="latents",
    receives="image",
)
SCHEDULER_LAB = Page(
    path="pages/Schedulers.py",
    title="Schedulers",
    icon=":material/timeline:",
    summary="The timesteps, noise levels and UNet calls of any scheduler, before any picture is "
    "made, with every spacing and Karras' levels side by side.",
    prefix="schedulers",
)
FILM = Page(
    path="pages/Film.py",
    title="Film",
    icon=":material/movie:",
    summary="Watch a picture, or a whole grid, being denoised: play it, step through it frame by "
    "frame, and export it as a film.",
    prefix="film",
    receives="image",
)
STEPS = Page(
    path="pages/Step_by_step.py",
    title="Step by step",
    icon=":material/account_tree:",
    summary="The pipeline taken apart on your own prompt: tokens, noise, one call of the model, "
    "guidance, the scheduler's formula. Change the prompt, the guidance or the scheduler from any "
    "step on, and see six common mistakes.",
    prefix="steps",
    receives="settings",
    has_model=True,
)
VARIATIONS = Page(
    path="pages/Variations.py",
    title="Variations",
    icon=":material/family_history:",
    summary="Pictures similar to one you have: vary the noise that it starts from in eight ways, "
    "make variations of variations, and walk from seed to seed.",
    prefix="variations",
    receives="image",
)

GLOSSARY = Page(
    path="pages/Glossary.py",
    title="Glossary",
    icon=":material/dictionary:",
    summary="The words used here, each in two sentences, with its symbol, its source and a link to "
    "where it can be seen.",
    prefix="glossary",
)

LESSONS = Page(
    path="pages/Lessons.py",
    title="Lessons",
    icon=":material/school:",
    summary="Predict first, then let the run grade you: short lessons on seed, steps, guidance, "
    "noise and words, alone or in front of a class.",
    prefix="lessons",
)

CATALOG = (
    HOME,
    LESSONS,
    GENERATE,
    SWEEP,
    IMAGE_TO_IMAGE,
    LATENTS,
    SCHEDULER_LAB,
    FILM,
    STEPS,
    VARIATIONS,
    GALLERY,
    GLOSSARY,
)
