"""Reads the tools of FLAT_TOOLS: one JSON object of settings, or one text a setting."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core.output.texts.a1111.parameters import Parsed
from core.output.texts.facts import Facts, understand
from core.output.texts.files.found import Json, Texts
from core.output.texts.flat.loras import read_loras
from core.output.texts.flat.table import FLAT_TOOLS, FlatTool

_SIZE = re.compile(r"\(?\s{0,4}(\d{1,6})\s{0,4}[x×,]\s{0,4}(\d{1,6})\s{0,4}\)?")
_NOTHING = (None, "", "None", "none", "null", "false", False, 0, "0", [], {}, "[]")


def parse_flat(texts: Texts) -> list[Parsed]:
    """What tools of FLAT_TOOLS say, each in the order of the texts."""
    found: list[Parsed] = []
    for _, given in (*texts.objects, ("", texts.keys)):
        for tool in FLAT_TOOLS:
            if (parsed := _read(tool, given, texts)) is not None:
                found.append(parsed)
                break
    return found


def _read(tool: FlatTool, given: Json, texts: Texts) -> Parsed | None:
    if not all(mark in given for mark in tool.marks):
        return None
    if tool.inside:
        inner = given[tool.inside]
        if not isinstance(inner, dict):
            return None
        given = inner
    prompt, negative = _first(given, tool.prompt), _first(given, tool.negative)
    if prompt is None and tool.prompt_beside:
        prompt = texts.get(tool.prompt_beside) or None
    if isinstance(prompt, dict):
        return None  # a graph: its reader takes it
    width, height = _first(given, tool.width), _first(given, tool.height)
    size = _SIZE.fullmatch(str(_first(given, tool.size))[:60].strip())
    if size:
        width, height = size[1], size[2]
    model = _text(_first(given, tool.model)) or texts.beside(tool.model[0])
    facts = Facts(
        tool=tool.name,
        prompt=prompt if isinstance(prompt, str) else None,
        # These tools leave out a negative prompt that is empty.
        negative_prompt="" if negative is None else negative if isinstance(negative, str) else None,
        numbers={
            "seed": _first(given, tool.seed),
            "num_inference_steps": _first(given, tool.steps),
            "guidance_scale": _first(given, tool.guidance),
            "width": width,
            "height": height,
        },
        sampler=_text(_first(given, tool.sampler)),
        schedule=_text(_first(given, tool.schedule)),
        model=model,
        loras=tuple(read_loras(given)),
        vae=_text(_first(given, ("vae/model_name", "vae"))),
        notation=tool.notation,
        notes=tuple(_notes(tool, given)),
    )
    return understand(facts)


def _notes(tool: FlatTool, given: Json) -> list[str]:
    unused = [words for key, words in tool.uses.items() if _is_used(key, given)]
    if "img2img" in str(given.get("request_type"))[:60].lower():
        unused.append("its source picture")  # NovelAI
    notes = [f"Not used here: {', '.join(unused)}."] if unused else []
    for name in tool.strengths:
        value = given.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1:
            notes.append(
                f"It was made from another picture (strength {value:g}): that is not in the file."
            )
            break
    return notes


def _is_used(key: str, given: Json) -> bool:
    value = _first(given, (key,))
    is_no_skip = "clip" in key.lower() and value in (1, "1")
    return value not in _NOTHING and not is_no_skip


def _first(given: Any, keys: tuple[str, ...]) -> Any:
    """The value of the first key that is there, "a/b" being b inside of a."""
    for key in keys:
        value: Any = given
        for part in key.split("/"):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            return value
    return None


def _text(value: Any) -> str:
    """A name: text, or the name of an object that has one."""
    if isinstance(value, Mapping):
        value = value.get("name")
    return value if isinstance(value, str) and len(value) < 500 else ""
