"""GenerationSettings: everything that determines one image, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from typing import Any

from core.diffusion.recipe.checks import snapshot_problems, source_problems, variation_problems
from core.diffusion.recipe.guidance.methods import guided_calls, uses_negative
from core.diffusion.recipe.limits import MAX_GUIDANCE, MAX_SEED, MAX_SIDE, MAX_STEPS, nearest_side
from core.diffusion.recipe.problems import Problem, PromptReader, SettingsError
from core.diffusion.recipe.prompt.foreign import foreign_words
from core.diffusion.recipe.prompt.texts import canonical_texts, every_text
from core.diffusion.recipe.rows.source import POSTERIORS
from core.diffusion.recipe.sampler import AUTOMATIC, plain_sampler
from core.diffusion.recipe.schedule import step_range
from core.diffusion.recipe.schedulers import SCHEDULERS, nearest_scheduler
from core.diffusion.recipe.setting import KIND_NAMES, converted
from core.diffusion.recipe.settings_table import PROMPTS, SETTINGS, SOURCE_FIELDS, current_name
from core.diffusion.recipe.variations import VariationError, variations_of, with_variations

__all__ = [
    "INIT_FIELDS",
    "MAX_GUIDANCE",
    "MAX_SEED",
    "MAX_SIDE",
    "MAX_STEPS",
    "NUMERICS_VERSION",
    "POSTERIORS",
    "GenerationSettings",
    "Problem",
    "PromptReader",
    "SettingsError",
    "nearest_scheduler",
]

NUMERICS_VERSION = 1
"""Raised when the same settings would give other pixels, so that no stored image is mistaken."""

INIT_FIELDS = SOURCE_FIELDS
"""The settings of image-to-image: without a source picture none of them has an effect."""


@dataclass(frozen=True, kw_only=True)
class GenerationSettings:
    """All that determines one image: equal settings on one model give equal pixels.

    `guidance_scale` 1 or less is no guidance (diffusers' rule), but with `guidance_below_1`. It
    acts by `guidance_method`, from `guidance_start` to `guidance_end`, shares of the calls.

    `seed` draws the initial noise; `variation_strength` in [0, 1] moves that noise towards
    `variation_seed`'s, as `METHODS` has it, after the variations of `variation_chain`.
    `prompt_blend` in [0, 1] goes from the embeddings of `prompt` to those of `prompt_2` in a
    straight line. `snapshot` k > 0 asks for the predicted x0 after k UNet calls of the run in place
    of the finished image.

    `init_image` names the source of image-to-image by the SHA-256 (hex) of the prepared picture
    ("" is text to image; the fields after it then have no effect). `strength` in [0, 1] is the
    share of the steps that is run, rounded down (diffusers' rule); `exact_steps` runs
    `num_inference_steps` of a longer schedule; `match_noise` starts where DDIM would. With
    `mask_image` only what is white in that mask is inpainted; `mask_grow` and then `mask_blur`, in
    pixels, change that mask first, and `mask_mode` says what its grey means. With `masked_only` the
    area around the mask, with `masked_padding` pixels, is inpainted at the whole size.

    `loras` names LoRA files of the model roots with their weights, "ink:0.8, paper:0.5"; a weight
    of 0 is none. `vae` names a VAE of the roots in place of the model's own. `clip_skip` leaves out
    so many of the text encoder's last layers for the prompt; `emphasis` says whether
    weights in prompts leave the embeddings' mean as it was.

    From `sigma_schedule` to `s_churn` are what the sampler is made of, by the names of diffusers'
    configuration: "automatic", 0 for the order and -1 for eta leave it as the scheduler has it.
    `noise_multiplier` multiplies the initial noise.
    """

    model: str = "bundled"
    prompt: str = ""
    negative_prompt: str = ""
    seed: int = 0
    width: int = 128
    height: int = 128
    num_inference_steps: int = 20
    guidance_scale: float = 3.0
    guidance_rescale: float = 0.0
    scheduler: str = "DPM++ 2M"
    variation_seed: int = 0
    variation_strength: float = 0.0
    variation_method: str = "slerp"
    variation_region: str = ""
    variation_channel: int = 0
    variation_chain: str = ""
    prompt_2: str = ""
    prompt_blend: float = 0.0
    snapshot: int = 0
    init_image: str = ""
    strength: float = 0.8
    exact_steps: bool = False
    match_noise: bool = False
    posterior: str = "sample"
    mask_image: str = ""
    mask_grow: int = 0
    mask_blur: int = 0
    mask_mode: str = "binary"
    masked_only: bool = False
    masked_padding: int = 32
    loras: str = ""
    vae: str = ""
    clip_skip: int = 0
    sigma_schedule: str = "automatic"
    timestep_spacing: str = "automatic"
    solver_order: int = 0
    solver_type: str = "automatic"
    final_sigmas_type: str = "automatic"
    lower_order_final: bool = True
    rescale_betas_zero_snr: bool = False
    eta: float = -1.0
    s_churn: float = 0.0
    noise_multiplier: float = 1.0
    guidance_method: str = "CFG"
    guidance_start: float = 0.0
    guidance_end: float = 1.0
    guidance_below_1: bool = False
    apg_eta: float = 0.0
    apg_norm_threshold: float = 15.0
    apg_momentum: float = -0.5
    zero_init_steps: int = 0
    pag_scale: float = 3.0
    pag_layers: str = "mid"
    emphasis: str = "Original"

    @property
    def uses_guidance(self) -> bool:
        """Return whether there are predictions with the negative prompt, in any call."""
        return uses_negative(self)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GenerationSettings:
        """Read settings from `to_dict`'s form, under their earlier names too. Whole floats become
        ints where a setting is one.

        Raises SettingsError naming every unknown key and every value of a wrong type.
        """
        problems: list[Problem] = []
        clean: dict[str, Any] = {}
        for given, value in values.items():
            name = current_name(given)
            if name not in SETTINGS:
                near = get_close_matches(name, SETTINGS, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                problems.append(Problem(field=name, reason=f"is not a setting{hint}"))
                continue
            if name != given and name in values:
                continue  # what has the name of today is the later word
            kind = SETTINGS[name].kind
            read = converted(value, kind)
            if read is None:
                reason = f"{value!r} is not {KIND_NAMES[kind]}"
                problems.append(Problem(field=given, reason=reason))
            else:
                clean[name] = read
        if problems:
            raise SettingsError(problems)
        return cls(**clean)

    def matters(self, name: str) -> bool:
        """Return whether a setting has an effect on the pixels here, as its row says."""
        return SETTINGS[name].matters(self)

    def canonical(
        self, loras: Sequence[Sequence[str | float]] | None = None, vae: str | None = None
    ) -> dict[str, Any]:
        """The settings that matter to the pixels, equal for equal pixels.

        `loras` are the files that take part, each as [SHA-256, weight], and `vae` is the SHA-256 of
        the VAE; None is "not looked up": what takes part then stands by its name, and such settings
        are no stored image's.
        """
        if self.variation_strength == 0 and self.variation_chain:
            # The last of the chain is what varies: a strength of 0 beyond it adds nothing.
            with suppress(VariationError):
                return with_variations(self, variations_of(self)).canonical(loras, vae)
        values = {
            name: row.canonical(getattr(self, name))
            for name, row in SETTINGS.items()
            if row.matters(self)
        }
        if ("guidance_start" in values or "guidance_end" in values) and not self.match_noise:
            # Intervals that begin and end at the same calls are the same image.
            calls = step_range(self).calls(SCHEDULERS[self.scheduler])
            acts = guided_calls(self, calls)
            if not acts:
                return replace(self, guidance_start=0.0, guidance_end=0.0).canonical(loras, vae)
            values = {n: v for n, v in values.items() if n not in _INTERVAL}
            values |= {} if acts == range(calls) else {"guided_calls": [acts.start, acts.stop]}
        # Prompts that are told the same at every step are the same image.
        steps = None if self.match_noise else step_range(self).num_executed_steps
        texts = {name: getattr(self, name) for name in PROMPTS if name in values}
        values |= canonical_texts(texts, steps)
        values["scheduler"], schedule = plain_sampler(self)
        if schedule == AUTOMATIC:
            values.pop("sigma_schedule", None)
        if "loras" in values:
            values["loras"] = (
                [["not here", self.loras]]
                if loras is None
                else sorted(map(list, loras), key=lambda one: str(one[0]))
            )
            if not values["loras"]:
                del values["loras"]
        if "vae" in values:
            values["vae"] = ["not here", self.vae] if vae is None else vae
        if self.init_image and not self.match_noise:  # else the beginning depends on the model too
            # Strengths that begin at the same step of the same schedule are the same image.
            begin = step_range(self)
            values["schedule"] = [begin.schedule_steps, begin.first_step]
            for name in ("num_inference_steps", "strength", "exact_steps", "match_noise"):
                del values[name]
        del values["model"]  # the fingerprint stands for it: two names of one model are one model
        return values

    def digest(
        self,
        model_fingerprint: str,
        loras: Sequence[Sequence[str | float]] | None = None,
        vae: str | None = None,
    ) -> str:
        """SHA-256 (hex) of the canonical JSON, the model's fingerprint and the numerics version.

        It reads no disk: `loras` and `vae` are what `canonical` takes.
        """
        content = [self.canonical(loras, vae), model_fingerprint, NUMERICS_VERSION]
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def validate(
        self, *, tokenizer: PromptReader | None = None, vae_scale_factor: int = 8
    ) -> list[Problem]:
        """Every problem at once, errors first; an empty list is a clean bill.

        A prompt longer than the text encoder reads is a warning (diffusers cuts it too), and so are
        other tools' marks in it; they are only seen when `tokenizer` is given.
        """
        errors = [
            Problem(field=name, reason=reason)
            for name in SETTINGS
            if (reason := self._value_problem(name, vae_scale_factor))
        ]
        wrong = {problem.field for problem in errors}
        errors += [
            Problem(field=name, reason=reason)
            for name, row in SETTINGS.items()
            if row.unfit is not None and name not in wrong and (reason := row.unfit(self))
        ]
        errors += variation_problems(self, vae_scale_factor)
        errors += source_problems(self)
        if not errors:
            errors += snapshot_problems(self)
        return errors + (self._text_warnings(tokenizer) if tokenizer else [])

    def _value_problem(self, name: str, vae_scale_factor: int) -> str:
        value = getattr(self, name)
        if name not in ("width", "height"):
            return SETTINGS[name].problem(value)
        if vae_scale_factor <= value <= MAX_SIDE and value % vae_scale_factor == 0:
            return ""
        return (
            f"{value} is not a multiple of {vae_scale_factor} from {vae_scale_factor} "
            f"to {MAX_SIDE}; the nearest is {nearest_side(value, vae_scale_factor)}"
        )

    def _text_warnings(self, tokenizer: PromptReader) -> list[Problem]:
        found: list[Problem] = []
        steps = self.num_inference_steps
        for name in PROMPTS:
            if words := foreign_words(getattr(self, name), name, steps):
                found.append(Problem(field=name, reason=words, severity="warning"))
            texts = [text for _, text in every_text(getattr(self, name), steps, name)]
            if lost := " ".join(filter(None, map(tokenizer.cut_off, texts))):
                reason = f"is too long for the text encoder, which never sees: {lost!r}"
                found.append(Problem(field=name, reason=reason, severity="warning"))
        return found

    def require_valid(self, *, vae_scale_factor: int = 8) -> None:
        """Raises SettingsError with every error that `validate` finds."""
        if errors := self.validate(vae_scale_factor=vae_scale_factor):
            raise SettingsError(errors)


_INTERVAL = ("guidance_start", "guidance_end")
