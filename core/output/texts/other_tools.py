"""Settings from the texts of any tool: every reader is asked; who finds most is taken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.output.texts.a1111.parameters import Parsed, parse_a1111
from core.output.texts.comfyui.first_pass import parse_comfyui
from core.output.texts.facts import Facts, understand
from core.output.texts.files.found import Texts
from core.output.texts.flat.read import parse_flat

_LONGEST_DREAM = 50_000


def parse_any(texts: Texts) -> Parsed | None:
    """What the texts say, or None when no reader knows any of them.

    A tool's own object of settings comes before the web UI's text, and that before a graph, where
    they say equally much: a text of "unknown" beside a whole graph says less.
    """
    readings = [*parse_flat(texts), *_web_ui(texts), *parse_comfyui(texts), *_old_invokeai(texts)]
    return max(readings, key=_worth, default=None)


def _worth(parsed: Parsed) -> int:
    return sum(value != "" for value in parsed.values.values())


def _web_ui(texts: Texts) -> list[Parsed]:
    if texts.get("CreatorTool").startswith("Draw Things"):
        return []  # its description looks alike, but for the negative prompt
    return [parsed for text in texts.plain if (parsed := parse_a1111(text)) is not None]


def _old_invokeai(texts: Texts) -> list[Parsed]:
    """InvokeAI before its version 3, through sd-parsers: a command line, or "sd-metadata"."""
    given = {key: texts.get(key) for key in ("Dream", "sd-metadata") if texts.get(key)}
    if not given or max(map(len, given.values())) > _LONGEST_DREAM:
        return []
    # 0.2 s to import, and only old pictures need it.
    from sd_parsers.parsers import InvokeAIParser

    if "Dream" in given:
        given["Dream"] = " ".join(given["Dream"].split())
    try:
        info: Any = InvokeAIParser().parse(_plain_prompts(given))
        sampler = info.samplers[0]
        found: Mapping[str, Any] = {**info.metadata, **sampler.parameters}
        facts = Facts(
            tool="InvokeAI",
            prompt=", ".join(str(prompt) for prompt in sampler.prompts),
            negative_prompt=", ".join(str(prompt) for prompt in sampler.negative_prompts),
            numbers={
                "seed": found.get("seed"),
                "num_inference_steps": found.get("steps"),
                "guidance_scale": found.get("cfg_scale"),
                "width": found.get("width"),
                "height": found.get("height"),
            },
            sampler=str(sampler.name or ""),
            model=str(sampler.model or ""),
            notation="InvokeAI",
        )
    except Exception:  # the file is a stranger's, and so is the parser
        return []
    parsed = understand(facts)
    return [parsed] if parsed else []


def _plain_prompts(given: Mapping[str, str]) -> dict[str, str]:
    """sd-metadata with its prompt as a list, as sd-parsers expects: some versions wrote a text."""
    changed = dict(given)
    try:
        read: Any = json.loads(given.get("sd-metadata", ""))
        if isinstance(read["image"]["prompt"], str):
            read["image"]["prompt"] = [{"prompt": read["image"]["prompt"], "weight": 1.0}]
            changed["sd-metadata"] = json.dumps(read)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return changed
