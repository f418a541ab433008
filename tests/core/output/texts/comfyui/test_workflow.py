"""Pictures that carry ComfyUI's workflow alone: read as the graph that ran would be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.output.texts.comfyui.first_pass import understand_graph
from core.output.texts.comfyui.workflow import WIDGETS, read_workflow
from core.output.texts.infotext import read_png
from tests.core.output.texts.comfyui.test_first_pass import graph, node, values, with_inputs
from tests.core.output.texts.files.containers_made import png, text_chunk


def drawn(nodes: dict[str, dict[str, Any]], *, as_objects: bool = False) -> dict[str, Any]:
    """The graph as ComfyUI's editor saves it: widgets without names, links by number."""
    numbers = {name: number for number, name in enumerate(nodes, start=1)}
    links: list[Any] = []
    found: list[dict[str, Any]] = []
    for name, one in nodes.items():
        inputs: list[dict[str, Any]] = []
        for field, value in one["inputs"].items():
            if not isinstance(value, list):
                continue
            number = len(links) + 1
            end = (numbers[value[0]], value[1])
            links.append(
                {"id": number, "origin_id": end[0], "origin_slot": end[1], "type": field}
                if as_objects
                else [number, *end, numbers[name], len(inputs), field]
            )
            inputs.append({"name": field, "type": field, "link": number})
        widgets = WIDGETS.get(one["class_type"], ())
        found.append(
            {
                "id": numbers[name],
                "type": one["class_type"],
                "mode": 0,
                "inputs": inputs,
                "outputs": [{"type": "model"}, {"type": "clip"}],
                "widgets_values": [one["inputs"].get(n, "randomize") for n in widgets],
            }
        )
    return {"nodes": found, "links": links}


def read(workflow: dict[str, Any]) -> tuple[dict[str, Any], str]:
    found = read_workflow(workflow)
    assert found is not None
    parsed = understand_graph(found)
    assert parsed is not None
    return dict(parsed.values), " ".join(parsed.notes)


LORA = with_inputs("pass", model=["lora", 0]) | {
    "lora": node("LoraLoader", lora_name="ink.safetensors", strength_model=0.7, model=["loader", 0])
}


@pytest.mark.parametrize("as_objects", [False, True])
@pytest.mark.parametrize("nodes", [graph(), LORA], ids=["plain", "with a LoRA"])
def test_it_says_what_the_graph_that_ran_would(
    nodes: dict[str, dict[str, Any]], as_objects: bool
) -> None:
    assert read(drawn(nodes, as_objects=as_objects)) == values(nodes)


def test_a_picture_with_a_workflow_alone() -> None:
    data = png(text_chunk("workflow", json.dumps(drawn(graph())).encode()))
    settings = read_png(data).settings
    assert settings is not None
    assert (settings.prompt, settings.negative_prompt, settings.seed) == ("a lake", "people", 7)
    assert (settings.num_inference_steps, settings.width, settings.height) == (12, 640, 448)


def test_the_graph_that_ran_comes_first() -> None:
    """A workflow may hold what its nodes made of it only while they ran."""
    ran, editor = with_inputs("good", text="a fox"), drawn(graph())
    data = png(
        text_chunk("workflow", json.dumps(editor).encode()),
        text_chunk("prompt", json.dumps(ran).encode()),
    )
    settings = read_png(data).settings
    assert settings is not None
    assert settings.prompt == "a fox"


def test_a_node_that_is_bypassed_is_passed_and_a_muted_one_is_not_there() -> None:
    workflow = drawn(LORA)
    lora = next(one for one in workflow["nodes"] if one["type"] == "LoraLoader")
    lora["mode"] = 4
    assert read(workflow) == values(graph())
    bad = next(one for one in workflow["nodes"] if one["widgets_values"] == ["people"])
    bad["mode"] = 2
    assert "negative_prompt" not in read(workflow)[0]


def test_widgets_that_a_newer_file_names() -> None:
    workflow = drawn(graph())
    sampler = next(one for one in workflow["nodes"] if one["type"] == "KSampler")
    sampler["type"] = "SomebodysKSampler"
    names = [name for name in WIDGETS["KSampler"] if name]
    sampler["inputs"] += [{"name": n, "link": None, "widget": {"name": n}} for n in names]
    assert read(workflow) == values(graph())


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"nodes": {}},
        {"nodes": [1, None, {"id": 1}]},
        {"nodes": [{"id": 1, "type": "KSampler", "widgets_values": 3, "inputs": 4}], "links": 5},
        {"nodes": [{"id": 1, "type": "KSampler", "inputs": [{"link": {}}]}], "links": [[1], {}]},
        {"nodes": [{"id": 1, "type": "A"}] * 6000},
    ],
)
def test_what_is_no_workflow_is_none(found: dict[str, Any]) -> None:
    graph_read = read_workflow(found)
    assert graph_read is None or understand_graph(graph_read) is None


def test_links_in_a_circle_end() -> None:
    around = {"id": 1, "type": "A", "mode": 4, "inputs": [{"type": "x", "link": 1, "name": "x"}]}
    around["outputs"] = [{"type": "x"}]
    user = {"id": 2, "type": "KSampler", "inputs": [{"name": "model", "link": 1}]}
    found = read_workflow({"nodes": [around, user], "links": [[1, 1, 0, 2, 0, "x"]]})
    assert found is not None
    assert "model" not in found.nodes["2"].inputs
