"""Damaged and odd texts, graphs and files: none ends in a traceback, none in settings that fail.

A sample runs by default; LIGHTBOX_FUZZ=20000 (`make fuzz`) runs as many as that.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from core.output.texts.infotext import InfotextError, read_png
from tests.core.output.texts.comfyui.test_first_pass import graph
from tests.core.output.texts.comfyui.test_workflow import drawn
from tests.core.output.texts.files.containers_made import CONTAINERS, png, text_chunk
from tests.core.output.texts.test_generated_pictures import GRAPH, TOOLS
from tests.core.output.texts.test_pictures import PICTURES

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # of broken Exif data
CASES = int(os.environ.get("LIGHTBOX_FUZZ", "1500"))
PARTS = 20
ODD = (
    None, True, False, 0, -1, 1e308, 10**400, float("nan"), float("inf"), "", "x", "6", "NaN",
    "\ud800", "\x00", [], {}, [[]], {"a": {}}, ["6", 0], ["3", 0], ["nowhere", 0], [6, True],
    ["6", 10**30], {"on": True, "lora": "x"}, "a" * 5_000,
)  # fmt: skip
SPICES = (
    "\x00", "\r", "\n", '"', "\\", "{", "}", "[", "]", "(", ")", ",", "|", ":", "::", "<lora:",
    "Steps:", "Negative prompt:", "\ufeff", "\ud800", "狐", "9" * 5_000, "1.2::", "+", "<!",
)  # fmt: skip
FILES = sorted(PICTURES.iterdir())


def bent(value: Any, dice: random.Random) -> Any:
    """A copy of a JSON value in which about one entry in eight is another, missing, or doubled."""
    if dice.random() < 0.06:
        return dice.choice(ODD)
    if isinstance(value, dict):
        items = [(key, bent(inner, dice)) for key, inner in value.items() if dice.random() > 0.05]
        dice.shuffle(items)
        return {(str(dice.choice(ODD)) if dice.random() < 0.03 else key): one for key, one in items}
    if isinstance(value, list):
        return [
            bent(inner, dice) for inner in value for _ in range(dice.choice((0, 1, 1, 1, 1, 2)))
        ]
    if isinstance(value, str):
        return spiced(value, dice) if dice.random() < 0.2 else value
    return value


def spiced(text: str, dice: random.Random) -> str:
    """A text with pieces cut out, moved, or put in."""
    for _ in range(dice.randint(1, 4)):
        one, other = sorted(dice.randint(0, len(text)) for _ in range(2))
        middle = dice.choice(("", text[one:other] * 2, dice.choice(SPICES)))
        text = text[:one] + middle + text[other:]
    return text


def odd_tool(dice: random.Random) -> bytes:
    tool = dice.choice(sorted(TOOLS))
    given = TOOLS[tool]
    text = given if isinstance(given, str) else json.dumps(bent(given, dice))
    if dice.random() < 0.4:
        text = spiced(text, dice)
    text = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return CONTAINERS[dice.choice(sorted(CONTAINERS))](text)


def odd_graph(dice: random.Random) -> bytes:
    nodes = dict(GRAPH)
    kinds = ("Reroute", "ConditioningCombine", "ControlNetApplyAdvanced", "StringConcatenate")
    kinds += ("SamplerCustomAdvanced", "CFGGuider", "CLIPTextEncodeSDXL", "LoraLoader", "KSampler")
    names = ("", "text", "positive", "negative", "model", "sigmas", "guider", "latent_image", "cfg")
    places = [*nodes, *map(str, range(20, 30))]
    for name in range(20, 30):
        linked = {dice.choice(names): [dice.choice(places), dice.randint(0, 3)] for _ in range(4)}
        nodes[str(name)] = {"class_type": dice.choice(kinds), "inputs": linked}
    sampler = dict(GRAPH["3"]["inputs"])
    for name in dice.sample(sorted(sampler), 4):
        sampler[name] = [dice.choice(places), dice.randint(0, 2)]
    nodes["3"] = {"class_type": "KSampler", "inputs": sampler}
    return png(text_chunk("prompt", json.dumps(bent(nodes, dice)).encode()))


def odd_workflow(dice: random.Random) -> bytes:
    """ComfyUI's workflow alone, some of its nodes bypassed or muted."""
    workflow = drawn(graph(), as_objects=dice.random() < 0.5)
    for one in workflow["nodes"]:
        one["mode"] = dice.choice((0, 0, 0, 2, 4))
    return png(text_chunk("workflow", json.dumps(bent(workflow, dice)).encode()))


def odd_file(dice: random.Random) -> bytes:
    data = bytearray(dice.choice(FILES).read_bytes())
    for _ in range(dice.randint(1, 12)):
        data[dice.randrange(len(data))] = dice.choice((0, 255, dice.randrange(256)))
    if dice.random() < 0.3:
        del data[dice.randrange(len(data)) :]
    return bytes(data)


MAKERS: tuple[Callable[[random.Random], bytes], ...] = (
    odd_tool,
    odd_graph,
    odd_workflow,
    odd_file,
)


@pytest.mark.parametrize("part", range(PARTS))
def test_no_damaged_text_ends_in_a_traceback(part: int) -> None:
    for number in range(part, CASES, PARTS):
        dice = random.Random(number)
        data = MAKERS[number % len(MAKERS)](dice)
        try:
            back = read_png(data)
        except InfotextError:
            continue  # a sentence for the person who dropped it
        except Exception as error:
            raise AssertionError(f"case {number} raises {error!r}") from error
        if back.settings is None:
            assert back.notes, number
            assert back.fields == (), number
        else:
            assert not [one for one in back.settings.validate() if one.severity == "error"], number
