"""The "parameters" text of AUTOMATIC1111's web UI: written as it writes it, read as found.

Facts are those of the web UI 1.9 to 1.10 (`modules/processing.py`, `infotext_utils.py`,
`sd_samplers_kdiffusion.py`). The format cannot hold every prompt: a prompt with a line that
begins "Negative prompt:" reads back split there, in the web UI too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.diffusion.models.lora.files import list_loras
from core.diffusion.models.vae.files import list_vaes
from core.diffusion.recipe.prompt.lora_text import Lora, LoraError, loras_text, parse_loras
from core.diffusion.recipe.setting import Setting, plain_number
from core.diffusion.recipe.settings_table import SETTINGS, SOURCE_FIELDS
from core.diffusion.settings import GenerationSettings
from core.output.texts.a1111.early_calls import KEY, early_words, take_early
from core.output.texts.a1111.parts import take_apart
from core.output.texts.a1111.prompt_words import (
    foreign_syntax,
    take_loras,
    without_lone_backslashes,
)
from core.output.texts.a1111.samplers import find_sampler, sampler_words
from core.output.texts.a1111.vae_words import HASH, NAME, take_vae, vae_words
from core.output.texts.notations import notation_of

VERSION = "Diffusion Lightbox 0.1.0"

WEB_UI_METHOD = "column_slerp"
"""How the web UI varies a seed: what a text of its own means that names no method."""

_NEGATIVE = "Negative prompt:"
_SILENT = frozenset(
    key for row in SETTINGS.values() if row.web_ui is not None for key in row.web_ui.keys
) | {KEY, "RNG", "Version", "User", "Batch size", "Batch pos", "Hashes"}

# As the web UI orders them; what is ours alone follows in the order of our settings.
_ORDER = (
    "Steps",
    "Sampler",
    "Schedule type",
    "CFG scale",
    "Seed",
    "Size",
    "Model hash",
    "Model",
    HASH,
    NAME,
    "Variation seed",
    "Variation seed strength",
    "Denoising strength",
)

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """What a foreign text says, in our fields. `values` holds only what was found and understood.

    `notes` says in plain words what was found and is not used; `source` names the tool.
    """

    values: Mapping[str, Any]
    notes: tuple[str, ...]
    source: str


def a1111_text(settings: GenerationSettings, model_name: str, model_hash: str) -> str:
    """The text that the web UI writes for these settings: prompt, negative prompt, one line.

    "RNG: CPU" because our noise is drawn on the CPU; without it the web UI draws on the GPU. What
    the web UI has no word for (a way to vary that is not its own, variations of variations, a
    second prompt) has words of ours, which it passes over.
    """
    parameters = _plain_parameters(settings) | _joint_parameters(settings, model_name, model_hash)
    known = {key: place for place, key in enumerate(_ORDER)}
    ordered = sorted(parameters, key=lambda key: known.get(key, len(known)))
    parameters = {key: parameters[key] for key in ordered} | {"RNG": "CPU", "Version": VERSION}
    line = ", ".join(f"{key}: {_quote(value)}" for key, value in parameters.items())
    negative = f"\n{_NEGATIVE} {settings.negative_prompt}" if settings.negative_prompt else ""
    return f"{settings.prompt}{_lora_words(settings.loras)}{negative}\n{line}".strip()


def _plain_parameters(settings: GenerationSettings) -> dict[str, str]:
    """Each setting that is one key and one value, where it has an effect."""
    found: dict[str, str] = {}
    for name, row in SETTINGS.items():
        value = getattr(settings, name)
        if row.web_ui is None or not row.web_ui.is_plain or value is row.default is False:
            continue
        if row.is_told or row.matters(settings):
            found[row.web_ui.keys[0]] = row.web_ui.write(value)
    return found


def _joint_parameters(
    settings: GenerationSettings, model_name: str, model_hash: str
) -> dict[str, str]:
    """Settings and keys that are not one to one."""
    found = {
        **sampler_words(settings),
        **early_words(settings),
        "Size": f"{settings.width}x{settings.height}",
        "Model hash": model_hash,
        "Model": model_name,
        **vae_words(settings),
    }
    return {key: value for key, value in found.items() if value}


def parse_a1111(text: str) -> Parsed | None:
    """What the text says, or None when it holds neither parameters nor a negative prompt."""
    parts = take_apart(text)
    if parts is None:
        return None
    found, prompt, negative = parts.fields, parts.prompt, parts.negative_prompt
    notes: list[str] = []
    if not _is_ours(found):
        convert = notation_of(found.get("Version", ""))
        prompt, said = convert(without_lone_backslashes(prompt))
        negative, said_too = convert(without_lone_backslashes(negative))
        notes.extend(filter(None, dict.fromkeys((said, said_too))))
    prompt, weights, lora_notes = take_loras(prompt, list_loras)
    loras = loras_text(Lora(name=name, weight=weight) for name, weight in weights.items())
    notes.extend(lora_notes)
    values: dict[str, Any] = {"prompt": prompt, "negative_prompt": negative}
    if loras:
        values["loras"] = loras
    vae, vae_note = take_vae(found.get(NAME, ""), found.get(HASH, ""), list_vaes)
    notes.extend(filter(None, [vae_note]))
    if vae:
        values["vae"] = vae
    for row in SETTINGS.values():
        if row.group != "source":
            _take(row, found, values, notes)
    if values.get("variation_strength") and "variation_method" not in values:
        values["variation_method"] = "slerp" if _is_ours(found) else WEB_UI_METHOD
    notes.extend(_take_source(found, values))
    if size := re.fullmatch(r"(\d{1,6})x(\d{1,6})", found.get("Size", "")):
        values["width"], values["height"] = int(size[1]), int(size[2])
    if "Sampler" in found:
        # Our own words say exactly what a schedule type may stand for.
        is_said = {"sigma_schedule", "timestep_spacing"} & values.keys()
        schedule = "" if is_said else found.get("Schedule type", "")
        chosen, said = find_sampler(found["Sampler"], schedule)
        values |= chosen
        notes.extend(said)
    notes.extend(take_early(found, values))
    notes.extend(_model_note(found.get("Model", ""), found.get("Model hash", "")))
    notes.extend(_unused_notes(found, prompt + "\n" + negative))
    return Parsed(values=values, notes=tuple(notes), source="a1111")


def _lora_words(text: str) -> str:
    """LoRAs as the web UI has them, at the prompt's end."""
    try:
        loras = [lora for lora in parse_loras(text) if lora.weight != 0]
    except LoraError:
        return ""
    return "".join(f" <lora:{lora.name}:{plain_number(lora.weight)}>" for lora in loras)


def _take(row: Setting, found: Mapping[str, str], values: dict[str, Any], notes: list[str]) -> None:
    """Read a setting that is one key and one value, where the text has it."""
    web_ui = row.web_ui
    if web_ui is None or not web_ui.is_plain or web_ui.read is None:
        return
    key = web_ui.keys[0]
    if key not in found:
        return
    try:
        values[row.name] = web_ui.read(found[key])
    except ValueError:
        notes.append(f"{key} {_short(found[key])!r} is not a number: left unchanged.")


def _take_source(found: Mapping[str, str], values: dict[str, Any]) -> list[str]:
    """Image-to-image: our own texts name the source by its SHA-256; others only say how strong."""
    if "Denoising strength" not in found:
        return []
    source = found.get("Init image hash", "")
    if not _SHA256.fullmatch(source):
        strength = _short(found["Denoising strength"])
        return [
            "It was made from another picture, or enlarged from a smaller one (denoising strength "
            f"{strength}): that picture is not in the file."
        ]
    notes: list[str] = []
    for name in SOURCE_FIELDS:
        row = SETTINGS[name]
        if row.kind is bool:  # written where it is true alone
            values[name] = False
        _take(row, found, values, notes)
    return notes


def _model_note(name: str, fingerprint: str) -> list[str]:
    if not name and not fingerprint:
        return []
    label = (
        f"{_short(name)} ({_short(fingerprint)})" if name and fingerprint else name or fingerprint
    )
    return [f"It was made with the model {_short(label)}: choose that model to get close."]


def _unused_notes(found: Mapping[str, str], prompts: str) -> list[str]:
    notes = [
        f"Treated as plain text here, without effect: {what}." for what in foreign_syntax(prompts)
    ]
    unused = [
        f"{_short(key)} ({_short(value)})" for key, value in found.items() if key not in _SILENT
    ]
    if unused:
        more = f" and {len(unused) - 12} more" if len(unused) > 12 else ""
        notes.append(f"Not supported here, left out: {', '.join(unused[:12])}{more}.")
    if "Seed" in found and not _is_ours(found) and found.get("RNG") != "CPU":
        notes.append(
            "Its noise was drawn on a GPU: the same seed gives another picture here, "
            "where noise is drawn on the CPU."
        )
    return notes


def _is_ours(found: Mapping[str, str]) -> bool:
    return found.get("Version", "").startswith(VERSION.split(" 0")[0])


def _quote(text: str) -> str:
    """The web UI quotes at commas, colons and line ends; blanks around a text would be lost too."""
    needs = re.search(r'[,\n:"]', text) or text != text.strip()
    return json.dumps(text, ensure_ascii=False) if needs else text


def _short(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
