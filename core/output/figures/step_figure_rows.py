"""STEP_FIGURES and ALONG: what is drawn of a run's records, a row a figure and a row an x-axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.diffusion.trajectory import StepRecord


@dataclass(frozen=True, kw_only=True)
class Along:
    """What a figure's x-axis measures. Time runs to the right whatever it is."""

    name: str
    label: str
    of: Callable[[StepRecord], float]
    is_log: bool = False
    is_falling: bool = False

    def place(self, record: StepRecord) -> float | None:
        """Return where a record stands; None where the axis has no place for it (sigma 0)."""
        return drawable(self.of(record), self.is_log)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a run: its name (needed where a figure has several) and its quantity."""

    of: Callable[[StepRecord], float | None]
    name: str = ""
    dash: str | None = None


@dataclass(frozen=True, kw_only=True)
class StepFigure:
    """A figure: what to look for in one sentence, and where the claim comes from.

    One that stands in for another shows the same in another way, in its place. Those of the
    overview are shown first, the others on request.
    """

    name: str
    title: str
    group: str
    axis: str
    look: str
    lines: tuple[Line, ...]
    is_log: bool = False
    needs_guidance: bool = False
    stands_in_for: str = ""
    in_overview: bool = False


def _alongs(*rows: Along) -> dict[str, Along]:
    return {row.name: row for row in rows}


def _figures(*rows: StepFigure) -> dict[str, StepFigure]:
    return {row.name: row for row in rows}


ALONG: Mapping[str, Along] = _alongs(
    Along(name="step", label="Step (UNet call)", of=lambda record: record.step_index + 1),
    Along(name="timestep", label="Timestep", of=lambda record: record.timestep, is_falling=True),
    Along(
        name="sigma",
        label="Sigma",
        of=lambda record: record.sigma,
        is_log=True,
        is_falling=True,
    ),
    Along(name="log_snr", label="log-SNR", of=lambda record: record.log_snr),
)

GROUPS = ("Latents", "Guidance", "Settling")

STEP_FIGURES: Mapping[str, StepFigure] = _figures(
    StepFigure(
        name="latent_rms",
        title="Latent RMS",
        group="Latents",
        axis="RMS of x",
        look="It should keep to the dashed √(ᾱv + 1 − ᾱ), which noise and data of mean "
        "square v add up to (Ho et al. 2020, eq. 4): guidance lifts it off, a higher scale more.",
        lines=(Line(of=lambda record: record.latent_rms),),
        in_overview=True,
    ),
    StepFigure(
        name="raw_norm",
        title="Raw latent norm",
        group="Latents",
        axis="Norm of x as kept",
        look="What falls here is the scale that a scheduler keeps: Euler, Heun, LMS, DPM2 and "
        "the ancestral ones keep x₀ + σε and divide by √(σ² + 1) only for the UNet (diffusers' "
        "scale_model_input); the others stay nearly flat.",
        lines=(Line(of=lambda record: record.raw_latent_norm),),
        stands_in_for="latent_rms",
    ),
    StepFigure(
        name="channels",
        title="The channels",
        group="Latents",
        axis="Std, and mean (dotted)",
        look="A mean (dotted) that leaves 0 tints the whole picture, RGB being nearly a "
        "linear map of the channels (Keturn, Hugging Face forum 2022); solid is the "
        "standard deviation, all of the run in view.",
        lines=(),
    ),
    StepFigure(
        name="x0_rms",
        title="RMS of the predicted x0",
        group="Latents",
        axis="RMS of x₀",
        look="An ideal unguided prediction is on average no larger than the data, being a mean "
        "over all pictures that fit (Karras et al. 2022, app. B.3): what lies above the last value "
        "is due to guidance.",
        lines=(Line(of=lambda record: record.x0_rms),),
    ),
    StepFigure(
        name="guidance_gap",
        title="Guidance gap",
        group="Guidance",
        axis="RMS of ε_c − ε_u",
        look="This difference is what guidance scales (Ho and Salimans 2022, eq. 6), in units of "
        "the noise; the gap in x0 is how much of the picture it moves.",
        lines=(Line(of=lambda record: record.guidance_gap),),
        needs_guidance=True,
        in_overview=True,
    ),
    StepFigure(
        name="guidance_gap_x0",
        title="Guidance gap in x0",
        group="Guidance",
        axis="σ · RMS of ε_c − ε_u",
        look="In the predicted picture the same gap is σ times as large (Ho et al. 2020, eq. 15): "
        "after a few calls it falls with the noise, so note the logarithmic axis.",
        lines=(Line(of=lambda record: record.guidance_gap_x0),),
        is_log=True,
        needs_guidance=True,
    ),
    StepFigure(
        name="misalignment",
        title="Angle between the predictions",
        group="Guidance",
        axis="1 − cos(ε_c, ε_u)",
        look="Note the powers of ten: both predict the same noise in x (Ho et al. 2020, eq. 4), so "
        "they are nearly parallel, and all that guidance does comes from this small rest.",
        lines=(Line(of=lambda record: record.misalignment),),
        is_log=True,
        needs_guidance=True,
    ),
    StepFigure(
        name="guidance_parts",
        title="Guidance along and across",
        group="Guidance",
        axis="RMS of the part",
        look="The gap in x₀, split: the part along the conditional x₀ (dotted) makes the "
        "prediction larger and more saturated, the part across it (solid) changes what it shows "
        "(Sadat et al. 2024, sec. 4).",
        lines=(
            Line(of=lambda record: record.x0_gap_orthogonal, name="across"),
            Line(of=lambda record: record.x0_gap_parallel, name="along", dash="dot"),
        ),
        needs_guidance=True,
    ),
    StepFigure(
        name="std_inflation",
        title="Std inflation",
        group="Guidance",
        axis="std(ε guided) / std(ε_c)",
        look="Above 1 guidance enlarges the prediction, more at a higher scale: after a "
        "guidance_rescale this is what is left of it (Lin et al. 2023, sec. 3.4; diffusers' "
        "rescale_noise_cfg).",
        lines=(Line(of=lambda record: record.std_inflation),),
        needs_guidance=True,
    ),
    StepFigure(
        name="settling",
        title="Change of the predicted x0",
        group="Settling",
        axis="RMS of the change",
        look="The picture is decided where this falls: roughly, coarse shapes below a "
        "log-SNR of −4.6, content up to 0, cleaning up after (Choi et al. 2022, for "
        "pixel models).",
        lines=(Line(of=lambda record: record.settling),),
        in_overview=True,
    ),
    StepFigure(
        name="x0_cos_final",
        title="Likeness to the end",
        group="Settling",
        axis="cos(x₀, last x₀)",
        look="Once it is near 1 the rest only refines: the predicted x₀ (Song et al. 2021, "
        "eq. 12) points already where the run will end.",
        lines=(Line(of=lambda record: record.x0_cos_final),),
    ),
    StepFigure(
        name="saturation",
        title="Saturated pixels",
        group="Settling",
        axis="Share at 0 or 255",
        look="A share that rises with guidance is clipped colour, since strong guidance "
        "drives predictions out of the data's range (Saharia et al. 2022, sec. 2.3); "
        "counted on the linear preview.",
        lines=(Line(of=lambda record: record.saturation),),
        in_overview=True,
    ),
)


def drawable(value: float | None, is_log: bool) -> float | None:
    """What Plotly can place: no infinity, and on a logarithmic axis nothing up to 0."""
    if value is None or not math.isfinite(value) or (is_log and value <= 0):
        return None
    return value
