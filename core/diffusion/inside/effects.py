"""Effect of a word: what changes in the picture where the word is left out or replaced.

Attention says where a place of the picture looks, not what comes of it: the text encoder lets each
token carry those before it, so the map of one word holds others too. Here the word itself is taken
away and the rest stays: at one call from the same latents, and over the whole run from the same
noise.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np
import torch

from core.diffusion.engine import Engine
from core.diffusion.inside.anatomy import Effects, WordEffect
from core.diffusion.inside.unrolled import finite, step
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.models.lora.adapters import use_loras
from core.diffusion.recipe.guidance.methods import Row
from core.diffusion.recipe.prompt.words import MOST_WORDS, with_other, words_of
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.batch import Batch
from core.diffusion.sampling.cell import BatchCell
from core.diffusion.sampling.compute.memory import on_device
from core.diffusion.sampling.compute.unet_rows import UNetRows
from core.diffusion.sampling.guidance import Said, composed, guide
from core.diffusion.sampling.prediction import PREDICTIONS, prediction_type_of
from core.diffusion.sampling.text_encoder import Conditioning, Told
from core.diffusion.settings import GenerationSettings, Problem, SettingsError

MOST_CALLS = 10
"""At which the effect on the predicted x0 is measured, evenly over the run."""

TOGETHER = 4
"""Words whose runs go through the UNet together: others wait for no longer call than this."""


def effects(
    model: LoadedModel, settings: GenerationSettings, replacement: str = ""
) -> Generator[tuple[int, int], None, Effects]:
    """Run `settings` (strict), and once more without each word of its prompt.

    At MOST_CALLS calls of the run the UNet also predicts from the run's own latents without each
    word. Raises SettingsError, also for a prompt without words.
    """
    settings = replace(settings, snapshot=0)
    settings.require_valid(vae_scale_factor=model.info.vae_scale_factor)
    words = words_of(settings.prompt)
    if not words:
        reason = "has no word to leave out: write one"
        raise SettingsError([Problem(field="prompt", reason=reason)])
    chosen = words[:MOST_WORDS]
    changed = [
        replace(settings, prompt=with_other(settings.prompt, word, replacement)) for word in chosen
    ]
    batch = Batch(model, max_rows=2 * TOGETHER)
    cell = batch.admit(settings, strict=True, record="none")
    groups = [changed[i : i + TOGETHER] for i in range(0, len(changed), TOGETHER)]
    total = (1 + len(groups)) * cell.total_calls + 1
    calls = tuple(sorted({round(i) for i in np.linspace(0, cell.total_calls - 1, MOST_CALLS)}))
    steps = SCHEDULERS[settings.scheduler].step_of(cell.total_calls - 1)
    look = _Look(model, [batch.conditions(one, steps, cell.total_calls) for one in changed])
    at_calls: list[np.ndarray] = []  # (words, h, w) each
    while not cell.is_done:
        if cell.call in calls:
            at_calls.append(look(cell))
        step(batch, cell)
        yield cell.call, total
    decode = Engine(model).decode
    image = decode(finite(cell.latents).to(model.dtype))
    batch.drop(cell)
    found: list[WordEffect] = []
    for index, group in enumerate(groups):
        cells = [batch.admit(one, record="none") for one in group]
        while not cells[0].is_done:
            step(batch, *cells)
            yield (1 + index) * cell.total_calls + cells[0].call, total
        for one in cells:
            batch.drop(one)
            number = len(found)
            found.append(
                WordEffect(
                    word=chosen[number].text,
                    prompt=one.settings.prompt,
                    on_x0=np.stack([maps[number] for maps in at_calls]),
                    image=decode(finite(one.latents).to(model.dtype)),
                )
            )
    return Effects(
        image=image,
        words=tuple(found),
        calls=calls,
        total_calls=cell.total_calls,
        replacement=replacement,
        not_measured=tuple(word.text for word in words[MOST_WORDS:]),
    )


class _Look:
    """The predicted x0 with other prompts, from the latents that a cell has now."""

    def __init__(self, model: LoadedModel, changed: Sequence[Sequence[Conditioning]]) -> None:
        self._model = model
        self._given = changed  # a prompt, then a call
        self._unet = UNetRows(model, max_rows=2 * TOGETHER)
        self._prediction = PREDICTIONS[prediction_type_of(model.info.scheduler_config)]

    @torch.no_grad()
    def __call__(self, cell: BatchCell) -> np.ndarray:
        """(words, h, w): how far each moves the guided x0, as the RMS over the channels."""
        own = cell.condition
        timestep = cell.timesteps[cell.call]
        x = cell.scheduler.scale_model_input(cell.latents, timestep)
        kinds = cell.rows_at(cell.call)
        use_loras(self._model, cell.loras)
        maps: list[np.ndarray] = []
        for start in range(0, len(self._given), TOGETHER):
            group = self._given[start : start + TOGETHER]
            given = [own, *(one[cell.call] for one in group)]
            conds = [told for one in given for told in one.conds]
            rows = _rows("cond", conds)
            if own.uncond is not None and "uncond" in kinds:
                rows += _rows("uncond", [own.uncond])
            if "perturbed" in kinds:
                rows += _rows("perturbed", conds)
            out = self._unet(
                torch.cat([x] * len(rows)),
                on_device([float(timestep)] * len(rows), self._model.device),
                *map(torch.cat, zip(*(told for _, told in rows), strict=True)),
                perturbed=[
                    cell.settings.pag_layers if kind == "perturbed" else "" for kind, _ in rows
                ],
            ).split(1)
            uncond = out[len(conds)] if "uncond" in kinds else None
            predicted = iter(out)
            perturbed = out[-len(given) :] if "perturbed" in kinds else [None] * len(given)
            said = [
                Said(
                    call=cell.call,
                    is_guided=any(cell.guided),
                    cond=composed([next(predicted) for _ in one.conds], one.weights, uncond),
                    uncond=uncond if cell.guided[cell.call] else None,
                    perturbed=p,
                    carried=cell.carried,
                )
                for one, p in zip(given, perturbed, strict=True)
            ]
            guided = torch.cat([guide(one, cell.settings) for one in said])
            sigma = on_device([cell.sigmas[cell.call]] * len(given), self._model.device)
            x0 = self._prediction.to_x0(guided.float(), x.float().expand_as(guided), sigma)
            moved = (x0[1:] - x0[:1]).square().mean(1).sqrt()
            maps += list(moved.cpu().numpy())
        return np.stack(maps)


def _rows(kind: Row, told: Sequence[Told]) -> list[tuple[Row, Told]]:
    return [(kind, one) for one in told]
