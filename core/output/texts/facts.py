"""What another tool's text said, in one form for all tools, and its way into our settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from core.diffusion.models.lora.files import list_loras
from core.diffusion.models.vae.files import list_vaes
from core.diffusion.recipe.prompt.lora_text import Lora, loras_text
from core.output.texts.a1111.parameters import Parsed
from core.output.texts.a1111.prompt_words import take_loras
from core.output.texts.a1111.samplers import find_sampler
from core.output.texts.a1111.vae_words import take_vae
from core.output.texts.notations import NOTATIONS
from core.output.texts.sampler_names import web_ui_names

_NUMBERS: tuple[tuple[str, str, type], ...] = (
    ("seed", "seed", int),
    ("num_inference_steps", "number of steps", int),
    ("guidance_scale", "guidance scale", float),
    ("width", "width", int),
    ("height", "height", int),
)
_MOST = 10**20


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was found. A prompt that was not found is None, and so no field: an empty one is "".

    `numbers` maps our fields to what the text holds for them, number or text; `notation` is a key
    of NOTATIONS; `loras` are names with weights, `vae` is a name; `notes` say what is not used.
    """

    tool: str
    prompt: str | None
    negative_prompt: str | None
    numbers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sampler: str = ""
    schedule: str = ""
    model: str = ""
    loras: tuple[tuple[str, float], ...] = ()
    vae: str = ""
    notation: str = "web ui"
    notes: tuple[str, ...] = ()


def understand(facts: Facts) -> Parsed | None:
    """The facts as settings of ours with notes, or None where they hold nothing of use."""
    values: dict[str, Any] = {}
    notes = list(facts.notes)
    _take_prompts(facts, values, notes)
    for name, words, kind in _NUMBERS:
        value = number(facts.numbers.get(name), kind)
        if value is None:
            notes.append(f"The picture does not say its {words}: left unchanged.")
        else:
            values[name] = value
    if facts.sampler:
        chosen, said = find_sampler(*web_ui_names(facts.sampler, facts.schedule))
        values |= chosen
        notes.extend(said)
    else:
        notes.append("The picture does not say its sampler: the scheduler is left unchanged.")
    if facts.model:
        notes.append(
            f"It was made with the model {facts.model[:60]}: choose that model to get close."
        )
    vae, said = take_vae(facts.vae, "", list_vaes)
    notes.extend(filter(None, [said]))
    if vae:
        values["vae"] = vae
    if not values or values.keys() <= {"negative_prompt"}:
        return None
    notes.append(
        "Other tools generate their noise differently: the same seed gives another picture."
    )
    return Parsed(values=values, notes=tuple(dict.fromkeys(notes)), source=facts.tool)


def _take_prompts(facts: Facts, values: dict[str, Any], notes: list[str]) -> None:
    prompts = (
        ("prompt", "prompt", facts.prompt),
        ("negative_prompt", "negative prompt", facts.negative_prompt),
    )
    for name, words, text in prompts:
        if text is None:
            notes.append(f"The {words} was not found: left unchanged.")
            continue
        values[name], said = NOTATIONS[facts.notation](text.strip())
        notes.extend([said] if said else [])
    loras: dict[str, float] = {}
    if facts.prompt is not None:
        values["prompt"], loras_found, said = take_loras(values["prompt"], list_loras)
        loras.update(loras_found)
        notes.extend(said)
    known = list_loras() if facts.loras else []
    for name, weight in facts.loras:
        short = re.split(r"[\\/]", name)[-1].removesuffix(".safetensors")
        if short in known:
            loras[short] = loras.get(short, 0.0) + weight
        elif weight:
            notes.append(f"It used the LoRA {short[:60]} ({weight:g}), which is not available.")
    if loras:
        values["loras"] = loras_text(Lora(name=name, weight=w) for name, w in loras.items())


def number(value: Any, kind: type) -> Any:
    """A number of `kind` from a number or a text ("20.0" is 20 steps); None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int):
        return kind(value) if abs(value) < _MOST else None
    if isinstance(value, str) and (whole := re.fullmatch(r"\s*([+-]?\d{1,20})(?:\.0*)?\s*", value)):
        return kind(int(whole[1]))
    try:
        read = float(value)
    except ValueError:
        return None
    if not isfinite(read) or abs(read) >= _MOST:
        return None
    return kind(read)
