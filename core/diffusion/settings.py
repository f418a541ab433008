"""GenerationSettings: everything that determines one image, and nothing else."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, Literal, Protocol

from core.diffusion.models.loras import LoraError, canonical_loras, used_loras
from core.diffusion.recipe.prompt_weights import canonical_prompt
from core.diffusion.recipe.schedule import beginning, schedule_steps
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.recipe.variations import (
    METHODS,
    VariationError,
    read_region,
    variations_of,
    with_variations,
)

NUMERICS_VERSION = 1
"""Raised when the same settings would give other pixels, so that no stored image is mistaken."""

MAX_SEED = 2**32 - 1
MAX_STEPS = 1000
MAX_SIDE = 4096
MAX_GUIDANCE = 100.0
VARIATION_METHODS = tuple(METHODS)

INIT_FIELDS = (
    "init_image",
    "strength",
    "exact_steps",
    "match_noise",
    "posterior",
    "mask_image",
)
"""The settings of image-to-image: without a source picture none of them has an effect."""

POSTERIORS = ("sample", "mean", "latents")
"""How a source becomes latents: a seeded draw from what the VAE's encoder says, as diffusers'
pipelines make it; its mean; or `init_image` names latents, which need no encoder."""


class PromptReader(Protocol):
    """What `validate` needs of a tokenizer; `text_encoder.Tokenizer` is one."""

    def cut_off(self, prompt: str) -> str:
        """The end of `prompt` that the text encoder never sees ("" if it sees all)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong with one field, in words for the person who typed it."""

    field: str
    reason: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class SettingsError(ValueError):
    """Settings that cannot be run; `problems` names every bad field at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in problems))


@dataclass(frozen=True, kw_only=True)
class GenerationSettings:
    """All that determines one image: equal settings on one model give equal pixels.

    `guidance_scale` 1 or less is no guidance (diffusers' rule). `seed` draws the initial noise;
    `variation_strength` in [0, 1] moves that noise towards `variation_seed`'s, as `METHODS` has
    it, after the variations of `variation_chain`. `prompt_blend` in [0, 1] goes from the
    embeddings of `prompt` to those of `prompt_2` in a straight line. `snapshot` k > 0 asks for
    the predicted x0 after k UNet calls of the run in place of the finished image.

    `init_image` names the source of image-to-image by the SHA-256 (hex) of the prepared picture
    ("" is text to image; the fields after it then have no effect). `strength` in [0, 1] is the
    share of the steps that is run, rounded down (diffusers' rule); `exact_steps` runs
    `num_inference_steps` of a longer schedule; `match_noise` starts where DDIM would. With
    `mask_image` only what is white in that mask is made anew.

    `loras` names LoRA files of the model roots with their weights, "ink:0.8, paper:0.5"; a weight
    of 0 is none.
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
    loras: str = ""

    @property
    def uses_guidance(self) -> bool:
        """Whether a step costs two UNet rows (conditional and unconditional) or one."""
        return self.guidance_scale > 1

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GenerationSettings:
        """Settings from `to_dict`'s form. Whole floats become ints where a field is one.

        Raises SettingsError naming every unknown key and every value of a wrong type.
        """
        types: dict[str, type] = {field.name: type(field.default) for field in fields(cls)}
        problems: list[Problem] = []
        clean: dict[str, Any] = {}
        for name, value in values.items():
            if name not in types:
                near = get_close_matches(name, types, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                problems.append(Problem(field=name, reason=f"is not a setting{hint}"))
                continue
            converted = _convert(value, types[name])
            if converted is None:
                reason = f"{value!r} is not {_KIND_NAMES[types[name]]}"
                problems.append(Problem(field=name, reason=reason))
            else:
                clean[name] = converted
        if problems:
            raise SettingsError(problems)
        return cls(**clean)

    def canonical(self) -> dict[str, Any]:
        """The fields that matter to the pixels: what has no effect is left out."""
        if self.variation_strength == 0 and self.variation_chain:
            # The last of the chain is what varies: a strength of 0 beyond it adds nothing.
            with suppress(VariationError):
                return with_variations(self, variations_of(self)).canonical()
        values = asdict(self)
        if self.variation_strength == 0:
            for name in ("variation_seed", "variation_strength", "variation_method"):
                del values[name]
        method = METHODS.get(self.variation_method) if self.variation_strength else None
        for name in ("variation_region", "variation_channel"):
            if method is None or method.uses != name:
                del values[name]
        if not self.variation_chain:
            del values["variation_chain"]
        if self.prompt_blend == 0:
            del values["prompt_2"], values["prompt_blend"]
        if not self.uses_guidance:
            # diffusers reads neither of them, and every scale up to 1 gives the same image.
            for name in ("negative_prompt", "guidance_rescale", "guidance_scale"):
                del values[name]
        elif self.guidance_rescale == 0:
            del values["guidance_rescale"]
        if self.snapshot == 0:
            del values["snapshot"]
        self._keep_what_matters_of_the_source(values)
        values["loras"] = canonical_loras(self.loras) if self.loras else []
        if not values["loras"]:
            del values["loras"]
        for name in ("prompt", "negative_prompt", "prompt_2"):
            if name in values:
                values[name] = canonical_prompt(values[name])
        del values["model"]  # the fingerprint stands for it: two names of one model are one model
        return values

    def _keep_what_matters_of_the_source(self, values: dict[str, Any]) -> None:
        if not self.init_image:
            for name in INIT_FIELDS:
                del values[name]
            return
        if not self.mask_image:
            del values["mask_image"]
        if self.match_noise:
            return  # where it begins depends on the model too
        # Strengths that begin at the same step of the same schedule are the same image.
        begin = beginning(self)
        values["schedule"] = [begin.schedule_steps, begin.first_step]
        for name in ("num_inference_steps", "strength", "exact_steps", "match_noise"):
            del values[name]

    def digest(self, model_fingerprint: str) -> str:
        """SHA-256 (hex) of the canonical JSON, the model's fingerprint and the numerics version."""
        content = [self.canonical(), model_fingerprint, NUMERICS_VERSION]
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def validate(
        self, *, tokenizer: PromptReader | None = None, vae_scale_factor: int = 8
    ) -> list[Problem]:
        """Every problem at once, errors first; an empty list is a clean bill.

        A prompt longer than the text encoder reads is a warning (diffusers cuts it too); it is
        only seen when `tokenizer` is given.
        """
        errors: list[Problem] = []

        def check(ok: bool, field: str, reason: str) -> None:
            if not ok:
                errors.append(Problem(field=field, reason=reason))

        check(bool(self.model.strip()), "model", 'is empty: name one, such as "bundled"')
        for name in ("prompt", "negative_prompt", "prompt_2"):
            text: str = getattr(self, name)
            check("\x00" not in text, name, "contains a NUL character: type it again")
        for name in ("seed", "variation_seed"):
            check(
                0 <= getattr(self, name) <= MAX_SEED,
                name,
                f"{getattr(self, name)} is outside 0 to {MAX_SEED}",
            )
        for name in ("width", "height"):
            side: int = getattr(self, name)
            check(
                vae_scale_factor <= side <= MAX_SIDE and side % vae_scale_factor == 0,
                name,
                f"{side} is not a multiple of {vae_scale_factor} from {vae_scale_factor} "
                f"to {MAX_SIDE}; the nearest is {_nearest_side(side, vae_scale_factor)}",
            )
        check(
            1 <= self.num_inference_steps <= MAX_STEPS,
            "num_inference_steps",
            f"{self.num_inference_steps} is outside 1 to {MAX_STEPS}",
        )
        for name, top in (
            ("guidance_scale", MAX_GUIDANCE),
            ("guidance_rescale", 1.0),
            ("variation_strength", 1.0),
            ("prompt_blend", 1.0),
            ("strength", 1.0),
        ):
            value: float = getattr(self, name)
            if not math.isfinite(value):
                check(False, name, f"{value} is not a finite number")
            else:
                check(0 <= value <= top, name, f"{value:g} is outside 0 to {top:g}")
        if self.scheduler not in SCHEDULERS:  # looking for the nearest takes a millisecond
            near = nearest_scheduler(self.scheduler)
            check(False, "scheduler", f"{self.scheduler!r} is unknown; did you mean {near!r}?")
        check(
            self.variation_method in VARIATION_METHODS,
            "variation_method",
            f"{self.variation_method!r} is none of {', '.join(VARIATION_METHODS)}",
        )
        errors += self._variation_problems(vae_scale_factor)
        self._check_source(check)
        try:
            used_loras(self.loras)
        except LoraError as error:
            check(False, "loras", str(error))
        if not errors:
            row = SCHEDULERS[self.scheduler]
            # Only the engine knows how many calls are left where the noise is matched.
            begin = beginning(replace(self, strength=1.0) if self.match_noise else self)
            calls = begin.calls(row)
            check(
                0 <= self.snapshot <= calls,
                "snapshot",
                f"{self.snapshot} is outside 0 to {calls}, the UNet calls of "
                f"{begin.num_executed_steps} steps of {self.scheduler}",
            )
        return errors + (self._cut_off(tokenizer) if tokenizer else [])

    def _variation_problems(self, vae_scale_factor: int) -> list[Problem]:
        """What is wrong with the variations, of those that have an effect."""
        try:
            variations = variations_of(self)
        except VariationError as error:
            return [Problem(field="variation_chain", reason=str(error))]
        found: list[Problem] = []
        for variation in variations:
            is_last = self.variation_strength > 0 and variation is variations[-1]
            method = METHODS.get(variation.method)
            if method is not None and method.uses == "variation_region":
                try:
                    read_region(variation.region, width=self.width, height=self.height)
                except VariationError as error:
                    field = "variation_region" if is_last else "variation_chain"
                    found.append(Problem(field=field, reason=str(error)))
            is_low = self.height < 2 * vae_scale_factor  # a column of one has no direction
            if variation.method == "column_slerp" and is_low:
                reason = f"of columns needs a height of at least {2 * vae_scale_factor}"
                found.append(Problem(field="variation_method", reason=reason))
        if self.variation_channel < 0:
            reason = f"{self.variation_channel} is below 0, the first channel"
            found.append(Problem(field="variation_channel", reason=reason))
        return found

    def _check_source(self, check: Callable[[bool, str, str], None]) -> None:
        for name in ("init_image", "mask_image"):
            digest: str = getattr(self, name)
            is_digest = len(digest) == 64 and set(digest) <= set("0123456789abcdef")
            check(
                not digest or is_digest,
                name,
                "is named by the 64 hexadecimal digits of its SHA-256",
            )
        check(
            not self.mask_image or bool(self.init_image),
            "mask_image",
            "needs a source picture: what is black in it stays as the source has it",
        )
        check(
            self.posterior in POSTERIORS,
            "posterior",
            f"{self.posterior!r} is none of {', '.join(POSTERIORS)}",
        )
        if self.init_image and self.exact_steps and 0 < self.strength <= 1:
            total = schedule_steps(self.num_inference_steps, self.strength, True)
            check(
                total <= MAX_STEPS,
                "strength",
                f"{self.strength:g} is too small for exactly {self.num_inference_steps} steps: "
                f"their schedule would have {total}, and {MAX_STEPS} is the most",
            )

    def _cut_off(self, tokenizer: PromptReader) -> list[Problem]:
        found: list[Problem] = []
        for name in ("prompt", "negative_prompt", "prompt_2"):
            if lost := tokenizer.cut_off(getattr(self, name)):
                reason = f"is too long for the text encoder, which never sees: {lost!r}"
                found.append(Problem(field=name, reason=reason, severity="warning"))
        return found

    def require_valid(self, *, vae_scale_factor: int = 8) -> None:
        """Raises SettingsError with every error that `validate` finds."""
        if errors := self.validate(vae_scale_factor=vae_scale_factor):
            raise SettingsError(errors)


def nearest_scheduler(name: str) -> str:
    """The scheduler whose name looks most like `name`."""
    by_lower = {known.lower(): known for known in SCHEDULERS}
    near = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.0)
    return by_lower[near[0]] if near else next(iter(SCHEDULERS))


_KIND_NAMES: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}


def _convert(value: object, kind: type) -> Any:
    if isinstance(value, bool) or kind is bool:
        return value if isinstance(value, bool) and kind is bool else None
    if kind is str:
        return value if isinstance(value, str) else None
    if not isinstance(value, int | float):
        return None
    if kind is int:
        return int(value) if math.isfinite(value) and value == int(value) else None
    try:
        return float(value)
    except OverflowError:
        return None


def _nearest_side(side: int, factor: int) -> int:
    return min(max(round(side / factor) * factor, factor), MAX_SIDE // factor * factor)
