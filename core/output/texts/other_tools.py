"""The texts that ComfyUI, InvokeAI, NovelAI and Fooocus leave in pictures, through sd-parsers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core.output.texts.a1111 import Parsed, find_scheduler

# k-diffusion's and diffusers' names, as these tools write them, to AUTOMATIC1111's.
_SAMPLERS = {
    "euler": "Euler",
    "euler_a": "Euler a",
    "euler_ancestral": "Euler a",
    "heun": "Heun",
    "lms": "LMS",
    "plms": "PLMS",
    "pndm": "PLMS",
    "ddim": "DDIM",
    "dpm_2": "DPM2",
    "dpm_2_ancestral": "DPM2 a",
    "kdpm_2": "DPM2",
    "kdpm_2_a": "DPM2 a",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_sde": "DPM++ SDE",
    "uni_pc": "UniPC",
    "unipc": "UniPC",
    "deis": "DEIS",
    "lcm": "LCM",
}
_PLAIN = ("normal", "native", "")

_FIELDS: tuple[tuple[str, str, type], ...] = (
    ("seed", "seed", int),
    ("steps", "num_inference_steps", int),
    ("cfg_scale", "guidance_scale", float),
    ("width", "width", int),
    ("height", "height", int),
)


def parse_other(texts: Mapping[str, str]) -> Parsed | None:
    """What another tool's texts say, or None when sd-parsers knows none of them.

    A file may hold anything: whatever a parser raises means that it is not that tool's.
    """
    if not texts:
        return None
    # 0.2 s to import, and only foreign pictures need it.
    from sd_parsers.data import Generators
    from sd_parsers.parsers import MANAGED_PARSERS

    for kind in MANAGED_PARSERS:
        if kind.generator == Generators.AUTOMATIC1111:
            continue  # ours reads it
        try:
            info: Any = kind().parse(dict(texts))
            parsed = _understand(info)
        except Exception:  # the file is a stranger's, and so is the parser
            continue
        if parsed is not None:
            return parsed
    return None


def _understand(info: Any) -> Parsed | None:
    if not info.samplers:
        return None
    sampler = info.samplers[0]
    notes: list[str] = []
    if len(info.samplers) > 1:
        notes.append(f"It was made in {len(info.samplers)} passes: the first one is taken.")
    values: dict[str, Any] = {
        "prompt": ", ".join(str(prompt) for prompt in sampler.prompts),
        "negative_prompt": ", ".join(str(prompt) for prompt in sampler.negative_prompts),
    }
    facts = {**_size(info.metadata), **_flat(info.metadata), **_flat(sampler.parameters)}
    for key, field, kind in _FIELDS:
        try:
            values[field] = kind(facts[key])
        except (KeyError, TypeError, ValueError, OverflowError):
            notes.append(f"The picture does not say its {key.replace('_', ' ')}: left as it was.")
    name, said = _scheduler(str(sampler.name), str(facts.get("scheduler", "")))
    if name:
        values["scheduler"] = name
    notes.extend(said)
    if sampler.model is not None:
        notes.append(
            f"It was made with the model {str(sampler.model)[:60]}: choose that one to come close."
        )
    notes.append("Other tools draw their noise in their own way: the seed gives another picture.")
    return Parsed(values=values, notes=tuple(notes), source=str(info.generator.value))


def _scheduler(sampler: str, schedule: str) -> tuple[str | None, list[str]]:
    key = sampler.lower().removeprefix("k_").removesuffix("_gpu")
    if key not in _SAMPLERS and key.endswith("_k"):
        key, schedule = key.removesuffix("_k"), "Karras"  # InvokeAI's mark for Karras' spacing
    plain = schedule.lower() in _PLAIN or schedule == sampler
    return find_scheduler(_SAMPLERS.get(key, sampler), "" if plain else schedule)


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if isinstance(value, str | int | float)}


def _size(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """ComfyUI keeps the size in its latent node, Fooocus in a text "(1024, 768)"."""
    if found := re.fullmatch(r"\((\d+), (\d+)\)", str(metadata.get("resolution", ""))):
        return {"width": found[1], "height": found[2]}
    for name, nodes in metadata.items():
        if "Latent" in name and isinstance(nodes, list):
            for node in nodes:  # pyright: ignore[reportUnknownVariableType]
                if isinstance(node, dict) and {"width", "height"} <= node.keys():
                    return {"width": node["width"], "height": node["height"]}
    return {}
