"""Prompts as embeddings: what the UNet is told."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from core.diffusion.recipe.prompt.texts import Prompts, joins, prompts_by_step
from core.diffusion.recipe.prompt.weights import (
    EMPHASES,
    Pieces,
    parse_chunks,
    token_weights,
    tokenized,
    weigh,
)
from core.diffusion.settings import GenerationSettings, Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from core.diffusion.models.loaded import LoadedModel
    from core.diffusion.models.lora.files import LoraFile

Told: TypeAlias = "tuple[torch.Tensor, ...]"


@dataclass(frozen=True, kw_only=True, eq=False)
class Conditioning:
    """What the UNet is told of one cell in a call, beside latents and timestep.

    `conds` are the prompt's parts, whose `weights` are those of their differences from `uncond`;
    without `uncond` there is no guidance. Each is embeddings (1, tokens, width), then one tensor
    (1, ...) for each of the family's `added`, in that order; all have equally many tokens.
    """

    conds: tuple[Told, ...]
    weights: tuple[float, ...]
    uncond: Told | None

    @property
    def tokens(self) -> int:
        """How many tokens a row has."""
        return self.conds[0][0].shape[1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedded:
    """One prompt: the states of all encoders (1, tokens, width), SDXL's pooled one (1, width)."""

    states: torch.Tensor
    pooled: torch.Tensor | None

    def of_length(self, tokens: int) -> Embedded:
        """Repeat the states up to `tokens`, a multiple of theirs: each is attended to more often
        by the same share, so that what comes out stays the same.
        """
        times = tokens // self.states.shape[1]
        return replace(self, states=self.states.repeat(1, times, 1)) if times > 1 else self


class PromptEncoder:
    """Prompt -> embeddings (1, 77, width), each text encoded once and kept while in use.

    As the family's pipeline's `encode_prompt`: padded to the tokenizer's length, truncated, and
    of each encoder the states that its row names, or those of `clip_skip` layers before, weighed
    where the prompt has weights, side by side; one prompt a call, so that a prompt's embedding does
    not depend on its neighbours.
    """

    def __init__(self, model: LoadedModel, *, keep: int = 256) -> None:
        self._model = model
        self._keep = keep
        self._known: OrderedDict[tuple[str, int, bool, tuple[LoraFile, ...]], Embedded] = (
            OrderedDict()
        )

    def __call__(self, prompt: str) -> torch.Tensor:
        return self.embed(prompt).states

    def embed(self, prompt: str, clip_skip: int = 0, *, keeps_mean: bool = True) -> Embedded:
        """Embed the prompt with the LoRAs that are on in the model now; `keeps_mean` of weighed
        tokens. Raises SettingsError for more layers to skip than an encoder can be without.
        """
        import torch

        from core.diffusion.models.lora.adapters import active_loras

        key = (prompt, clip_skip, keeps_mean, active_loras(self._model))
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        chunks = [self._embed(pieces, clip_skip, keeps_mean) for pieces in parse_chunks(prompt)]
        # SDXL's pooled prompt is the first chunk's, as in the web UI.
        states = torch.cat([chunk.states for chunk in chunks], dim=1)
        embedded = Embedded(states=states, pooled=chunks[0].pooled)
        self._known[key] = embedded
        if len(self._known) > self._keep:
            self._known.popitem(last=False)
        return embedded

    def _embed(self, pieces: Pieces, clip_skip: int, keeps_mean: bool) -> Embedded:
        """One chunk."""
        import torch

        states: list[torch.Tensor] = []
        pooled: torch.Tensor | None = None
        for row, tokenizer, encoder in self._model.text_encoders():
            inputs = tokenized(
                tokenizer,
                pieces,
                padding="max_length",
                max_length=tokenizer.model_max_length,
                truncation=True,
                return_tensors="pt",
            )
            ids = inputs.input_ids.to(self._model.device)
            with torch.inference_mode():
                if row.hidden == "penultimate":
                    _check_skip(encoder, clip_skip, read_before_last=1)
                    found = encoder(ids, output_hidden_states=True)
                    states.append(found.hidden_states[-2 - clip_skip])
                else:
                    _check_skip(encoder, clip_skip, read_before_last=0)
                    uses_mask = getattr(encoder.config, "use_attention_mask", False)
                    mask = inputs.attention_mask.to(self._model.device) if uses_mask else None
                    found = encoder(ids, attention_mask=mask, output_hidden_states=clip_skip > 0)
                    states.append(_before_last(encoder, found, clip_skip))
                if row.pooled:
                    pooled = found[0]
            if weights := token_weights(inputs, pieces):
                states[-1] = weigh(states[-1], weights, keeps_mean)
        return Embedded(states=torch.cat(states, dim=-1).to(dtype=self._model.dtype), pooled=pooled)

    def between(self, first: str, second: str, share: float) -> torch.Tensor:
        """Embeddings (1, 77, width) on the straight line from the first's to the second's."""
        return self._between(first, second, share).states

    def _between(
        self, first: str, second: str, share: float, clip_skip: int = 0, *, keeps_mean: bool = True
    ) -> Embedded:
        start = self.embed(first, clip_skip, keeps_mean=keeps_mean)
        if share == 0:
            return start
        end = self.embed(second, clip_skip, keeps_mean=keeps_mean)
        start, end = _of_one_length([start, end])
        pooled = None
        if start.pooled is not None and end.pooled is not None:
            pooled = (1 - share) * start.pooled + share * end.pooled
        return Embedded(states=(1 - share) * start.states + share * end.states, pooled=pooled)

    def condition(self, settings: GenerationSettings, steps: int) -> list[Conditioning]:
        """All that the UNet is told of these settings in each of so many steps, at least one; the
        guidance that is embedded too. Raises SettingsError.
        """
        from core.diffusion.models.lora.adapters import use_loras
        from core.diffusion.models.lora.files import wanted_loras

        use_loras(self._model, wanted_loras(settings))
        if self._model.info.family.guidance == "embedded" and joins(settings.prompt):
            reason = "AND needs a model with guidance: this one has it embedded. Take AND out"
            raise SettingsError([Problem(field="prompt", reason=reason)])
        told: dict[Prompts, Conditioning] = {}
        by_step = prompts_by_step(settings, steps)
        for prompts in by_step:
            if prompts not in told:
                told[prompts] = self._condition(settings, prompts)
        return [told[prompts] for prompts in by_step]

    def _condition(self, settings: GenerationSettings, prompts: Prompts) -> Conditioning:
        info = self._model.info
        share, skip, keeps_mean = (
            settings.prompt_blend,
            settings.clip_skip,
            settings.emphasis == EMPHASES[0],
        )
        rows = [
            self._between(text, prompts.second, share, skip, keeps_mean=keeps_mean)
            for text, _ in prompts.parts
        ]
        if "uncond" in info.family.rows_of_call(settings):
            uncond = self.embed(prompts.negative, keeps_mean=keeps_mean)
            is_none = info.zeroes_empty_negative and not prompts.negative
            rows.append(_zeroes(uncond) if is_none else uncond)
        told = [self._told(row, settings) for row in _of_one_length(rows)]
        count = len(prompts.parts)
        return Conditioning(
            conds=tuple(told[:count]),
            weights=tuple(weight for _, weight in prompts.parts),
            uncond=told[count] if len(told) > count else None,
        )

    def _told(self, prompt: Embedded, settings: GenerationSettings) -> Told:
        import torch

        model = self._model
        options: dict[str, Any] = {"device": model.device, "dtype": model.dtype}
        found: list[torch.Tensor] = []
        for name in model.info.family.added:
            if name == "text_embeds":
                assert prompt.pooled is not None
                found.append(prompt.pooled)
            elif name == "time_ids":
                # Original size, crop and target size: a picture that was never cut or scaled
                # (Podell et al. 2023, sec. 2.2).
                sides = [settings.height, settings.width]
                found.append(torch.tensor([[*sides, 0, 0, *sides]], **options))
            else:
                width = int(model.unet.config.time_cond_proj_dim)
                found.append(guidance_embedding(settings.guidance_scale, width).to(**options))
        return (prompt.states, *found)


def _of_one_length(rows: Sequence[Embedded]) -> list[Embedded]:
    tokens = math.lcm(*(row.states.shape[1] for row in rows))
    return [row.of_length(tokens) for row in rows]


def _before_last(encoder: Any, found: Any, clip_skip: int) -> torch.Tensor:
    """The states `clip_skip` layers before the last, through the final norm like the last's own."""
    if clip_skip == 0:
        return found[0]
    inner = getattr(encoder, "text_model", encoder)  # where transformers 4 has the norm
    return inner.final_layer_norm(found.hidden_states[-1 - clip_skip])


def _check_skip(encoder: Any, clip_skip: int, *, read_before_last: int) -> None:
    layers = int(encoder.config.num_hidden_layers)
    most = layers - 1 - read_before_last
    if clip_skip > most:
        reason = f"{clip_skip} is outside 0 to {most}: the model's text encoder has {layers} layers"
        raise SettingsError([Problem(field="clip_skip", reason=reason)])


def guidance_embedding(guidance_scale: float, width: int) -> torch.Tensor:
    """The scale as sines and cosines, (1, width): of w = guidance_scale - 1, no less than 0.

    Source: diffusers' get_guidance_scale_embedding, after google-research/vdm.
    """
    import torch

    half = width // 2
    scale = torch.tensor([max(guidance_scale, 1.0) - 1]) * 1000.0
    step = torch.log(torch.tensor(10000.0)) / (half - 1)
    rates = torch.exp(torch.arange(half, dtype=torch.float32) * -step)
    angles = scale[:, None] * rates[None, :]
    embedded = torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)
    return torch.nn.functional.pad(embedded, (0, width % 2))


def _zeroes(prompt: Embedded) -> Embedded:
    """What SDXL was shown in place of a prompt: not the empty text's embedding, but none."""
    import torch

    assert prompt.pooled is not None
    return Embedded(states=torch.zeros_like(prompt.states), pooled=torch.zeros_like(prompt.pooled))
