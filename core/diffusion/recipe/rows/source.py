"""Rows of SETTINGS: image-to-image. Without a source picture none of them has an effect."""

from __future__ import annotations

from dataclasses import replace

from core.diffusion.recipe.setting import AxisError, Setting, Settings, Swept, WebUiText
from core.diffusion.recipe.source_names import shown_source

POSTERIORS = ("sample", "mean", "latents")
"""How a source becomes latents: a seeded draw from what the VAE's encoder says, as diffusers'
pipelines make it; its mean; or `init_image` names latents, which need no encoder."""

SAMPLE_SOURCES = (
    "10fa1bae78891de0b0c708a5fafe25549591b03a0cc74de80036f88a704545d9, "
    "404f847649815e9f0b73fb0a1723e9fc2308efc1a72d0bbfe7eb11f76824a3d6"
)
"""The app's samples "apple" and "face" at 128 x 128, by what they are kept under."""


def _has_source(settings: Settings) -> bool:
    return bool(settings.init_image)


def _no_digest(text: str) -> str:
    is_digest = len(text) == 64 and set(text) <= set("0123456789abcdef")
    return "" if not text or is_digest else "is named by the 64 hexadecimal digits of its SHA-256"


def _truth(text: str) -> bool:
    return text == "True"


def _strengthen(settings: Settings, value: float, first: float) -> Settings:
    if not settings.init_image:
        raise AxisError("there is no source picture: choose one on the Image to image page")
    return replace(settings, strength=value)


SOURCE_ROWS = (
    Setting(
        name="init_image",
        default="",
        label="Source picture",
        help="The picture that image-to-image starts from, by the SHA-256 that it is kept under.",
        group="source",
        matters=_has_source,
        check=_no_digest,
        show=shown_source,
        tell=lambda digest: digest[:12],
        web_ui=WebUiText(keys=("Init image hash",), read=str),
        swept=(
            Swept(
                examples=SAMPLE_SOURCES,
                note="Image-to-image: every value is a picture, by the SHA-256 that it is kept "
                "under; all of them have the size of the run.",
            ),
        ),
    ),
    Setting(
        name="strength",
        default=0.8,
        label="Strength",
        help="How much noise is added to the source, and so the share of the steps that is run: "
        "steps × strength, rounded down. 0 is the source encoded and decoded by the VAE.",
        group="source",
        bounds=(0, 1),
        step=0.01,
        matters=_has_source,
        web_ui=WebUiText(keys=("Denoising strength",), read=float),
        swept=(
            Swept(
                examples="0.1-1 [10]",
                apply=_strengthen,
                after=("init_image",),
                step=0.05,
                cost="its share of one image's steps",
                note="Image-to-image: how much noise is added to the source, and so the share of "
                "the steps that is run, rounded down.",
            ),
        ),
    ),
    Setting(
        name="exact_steps",
        default=False,
        label="Exact steps",
        help="Runs all the steps you ask for: the schedule is made longer, so that the strength "
        "leaves that many.",
        group="source",
        matters=_has_source,
        web_ui=WebUiText(keys=("Exact steps",), read=_truth),
    ),
    Setting(
        name="match_noise",
        default=False,
        label="Match noise across schedulers",
        help="Starts where DDIM would: one strength is then the same noise for every scheduler, "
        "and the steps run differ instead.",
        group="source",
        matters=_has_source,
        web_ui=WebUiText(keys=("Matched noise",), read=_truth),
    ),
    Setting(
        name="posterior",
        default="sample",
        label="Latents of the source",
        help="How the source is encoded: sample, a seeded draw from the VAE encoder's "
        "distribution, as in diffusers; mean, without a draw; or latents, where the source is "
        "latents.",
        group="source",
        choices=POSTERIORS,
        matters=_has_source,
        web_ui=WebUiText(keys=("Posterior",), read=str),
    ),
    Setting(
        name="mask_image",
        default="",
        label="Mask",
        help="White areas of it are inpainted. By the SHA-256 of a mask that is kept.",
        group="source",
        matters=lambda settings: _has_source(settings) and bool(settings.mask_image),
        check=_no_digest,
        tell=lambda digest: digest[:12],
        web_ui=WebUiText(keys=("Mask image hash",), read=str),
    ),
)
