"""ComfyUI's graphs: each setting by its links, and nothing where the graph does not hold it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.output.texts.comfyui.first_pass import understand_graph
from core.output.texts.comfyui.graph import Graph
from core.output.texts.infotext import read_png
from tests.core.output.texts.files.containers_made import png, text_chunk


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def graph(**changed: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A plain graph, its nodes by names, with some of them changed or added."""
    nodes = {
        "pass": node(
            "KSampler",
            seed=7,
            steps=12,
            cfg=6.5,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
            model=["loader", 0],
            positive=["good", 0],
            negative=["bad", 0],
            latent_image=["empty", 0],
        ),
        "loader": node("CheckpointLoaderSimple", ckpt_name="meadow.safetensors"),
        "empty": node("EmptyLatentImage", width=640, height=448, batch_size=1),
        "good": node("CLIPTextEncode", text="a lake", clip=["loader", 1]),
        "bad": node("CLIPTextEncode", text="people", clip=["loader", 1]),
    }
    return nodes | changed


def with_inputs(name: str, **inputs: Any) -> dict[str, dict[str, Any]]:
    """The plain graph with other inputs of one node."""
    nodes = graph()
    nodes[name]["inputs"].update(inputs)
    return nodes


def values(nodes: dict[str, dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """What is read of a graph, and all that is said of it."""
    found = Graph.read(nodes)
    assert found is not None
    parsed = understand_graph(found)
    assert parsed is not None
    return dict(parsed.values), " ".join(parsed.notes)


def prompts(nodes: dict[str, dict[str, Any]]) -> tuple[Any, Any]:
    found, _ = values(nodes)
    return found.get("prompt"), found.get("negative_prompt")


def test_two_texts_through_one_node_keep_their_sides() -> None:
    nodes = with_inputs("pass", positive=["control", 0], negative=["control", 1])
    nodes["control"] = node(
        "ControlNetApplyAdvanced", positive=["good", 0], negative=["bad", 0], strength=1.0
    )
    assert prompts(nodes) == ("a lake", "people")
    assert "ControlNet" in values(nodes)[1]
    swapped = with_inputs("pass", positive=["control", 1], negative=["control", 0])
    assert prompts(swapped | {"control": nodes["control"]}) == ("people", "a lake")


def test_a_loader_that_holds_its_prompts() -> None:
    nodes = with_inputs(
        "pass",
        model=["easy", 0],
        positive=["easy", 1],
        negative=["easy", 2],
        latent_image=["easy", 3],
    )
    nodes["easy"] = node(
        "Efficient Loader",
        ckpt_name="meadow.safetensors",
        positive="a lake",
        negative="people",
        empty_latent_width=640,
        empty_latent_height=448,
    )
    found, _ = values(nodes)
    assert prompts(nodes) == ("a lake", "people")
    assert (found["width"], found["height"]) == (640, 448)


def test_zeroed_out_is_nothing_on_the_negative_side_alone() -> None:
    zero = node("ConditioningZeroOut", conditioning=["good", 0])
    assert prompts(with_inputs("pass", negative=["zero", 0]) | {"zero": zero}) == ("a lake", "")
    assert prompts(with_inputs("pass", positive=["zero", 0]) | {"zero": zero}) == (None, "people")


def test_a_subgraphs_nodes() -> None:
    nodes = with_inputs("pass", positive=["12:6", 0])
    nodes["12:6"] = node("CLIPTextEncode", text=["12:9", 0], clip=["loader", 1])
    nodes["12:9"] = node("PrimitiveStringMultiline", value="an eel")
    assert prompts(nodes) == ("an eel", "people")


def test_a_long_chain_of_reroutes() -> None:
    nodes = with_inputs("pass", positive=["r0", 0])
    for at in range(20_000):
        nodes[f"r{at}"] = node("Reroute", **{"": [f"r{at + 1}", 0]})
    nodes["r20000"] = nodes["good"]
    assert prompts(nodes) == ("a lake", "people")


@pytest.mark.parametrize("kind", ["Reroute", "CLIPTextEncode", "StringConcatenate", "KSampler"])
def test_a_circle_ends(kind: str) -> None:
    nodes = with_inputs("pass", positive=["a", 0], latent_image=["a", 0], model=["a", 0])
    inputs = {"text": ["b", 0], "string_a": ["b", 0], "conditioning": ["b", 0]}
    names = {"Reroute": [""], "CLIPTextEncode": ["text"], "KSampler": ["conditioning", "samples"]}
    for one, other in (("a", "b"), ("b", "a")):
        linked = {name: [other, 0] for name in names.get(kind, inputs)}
        nodes[one] = node(kind, **linked)
    found, said = values(nodes)
    assert "prompt" not in found
    assert "prompt was not found" in said


@pytest.mark.parametrize(
    "text_node",
    [
        node("DPRandomGenerator", text="{a|b} lake", seed=1),
        node("OllamaGenerate", prompt="write a prompt of a lake"),
        node("Text Random Line", text="a\nb"),
        node("SomethingNew", first="a", second="b"),
        node("LoadFile", path=["bad", 0], other=["good", 0]),
    ],
    ids=lambda made: made["class_type"],
)
def test_a_text_that_is_made_while_running_is_not_found(text_node: dict[str, Any]) -> None:
    nodes = with_inputs("good", text=["words", 0]) | {"words": text_node}
    data = png(text_chunk("prompt", json.dumps(nodes).encode()))
    back = read_png(data)
    assert "prompt" not in back.fields, "Use all would replace the person's prompt by nothing"
    assert "negative_prompt" in back.fields
    assert any("prompt was not found" in note for note in back.notes)


def test_texts_are_joined_as_the_graph_joins_them() -> None:
    nodes = with_inputs("good", text=["join", 0])
    nodes["join"] = node(
        "StringConcatenate", string_a="a lake", string_b=["more", 0], delimiter=" at "
    )
    nodes["more"] = node("PrimitiveString", value="night")
    assert prompts(nodes)[0] == "a lake at night"


def test_a_doubling_chain_of_texts_is_not_unfolded() -> None:
    nodes = with_inputs("good", text=["j0", 0])
    for at in range(50):
        nodes[f"j{at}"] = node(
            "StringConcatenate", string_a=[f"j{at + 1}", 0], string_b=[f"j{at + 1}", 0]
        )
    nodes["j50"] = node("PrimitiveString", value="word")
    assert prompts(nodes) == (None, "people")


def test_combined_conditionings_are_joined_and_said() -> None:
    nodes = with_inputs("pass", positive=["both", 0])
    nodes["both"] = node("ConditioningCombine", conditioning_1=["good", 0], conditioning_2=["x", 0])
    nodes["x"] = node("CLIPTextEncode", text="at night", clip=["loader", 1])
    found, said = values(nodes)
    assert found["prompt"] == "a lake, at night"
    assert "combined" in said
    nodes["x"] = node("MadeElsewhere", image=["loader", 0], other=["empty", 0])
    assert prompts(nodes) == (None, "people"), "half a prompt is another prompt"


def parted(**guider: Any) -> dict[str, dict[str, Any]]:
    nodes = graph(
        noise=node("RandomNoise", noise_seed=4242),
        guider=node(
            guider.pop("kind", "CFGGuider"),
            **({"model": ["loader", 0]} | guider),
        ),
        chosen=node("KSamplerSelect", sampler_name="dpmpp_2m"),
        sigmas=node("BasicScheduler", scheduler="karras", steps=24, denoise=1.0),
    )
    nodes["pass"] = node(
        "SamplerCustomAdvanced",
        noise=["noise", 0],
        guider=["guider", 0],
        sampler=["chosen", 0],
        sigmas=["split", 0],
        latent_image=["empty", 0],
    )
    nodes["split"] = node("SplitSigmas", sigmas=["sigmas", 0], step=10)
    return nodes


def test_a_sampler_in_parts() -> None:
    found, _ = values(parted(cfg=5.0, positive=["good", 0], negative=["bad", 0]))
    assert found == {
        "prompt": "a lake",
        "negative_prompt": "people",
        "seed": 4242,
        "num_inference_steps": 24,
        "guidance_scale": 5.0,
        "width": 640,
        "height": 448,
        "scheduler": "DPM++ 2M Karras",
    }


def test_a_guider_without_guidance() -> None:
    found, _ = values(parted(kind="BasicGuider", conditioning=["good", 0]))
    assert (found["prompt"], found["negative_prompt"]) == ("a lake", "")
    assert found["guidance_scale"] == 1.0


def test_settings_from_nodes_of_their_own() -> None:
    nodes = with_inputs("pass", seed=["seed", 0], steps=["steps", 0], cfg=["r", 0])
    nodes["seed"] = node("Seed (rgthree)", seed=99)
    nodes["steps"] = node("PrimitiveInt", value=33)
    nodes["r"] = node("Reroute", **{"": ["cfg", 0]})
    nodes["cfg"] = node("PrimitiveFloat", value=4.5)
    found, _ = values(nodes)
    assert (found["seed"], found["num_inference_steps"], found["guidance_scale"]) == (99, 33, 4.5)
    nodes["steps"] = node("SimpleMath", value="a*2", a=["seed", 0])
    found, said = values(nodes)
    assert "num_inference_steps" not in found
    assert "number of steps" in said


def test_the_first_pass_is_the_one_before_the_others() -> None:
    later = with_inputs("pass", seed=8, steps=5, denoise=0.4, latent_image=["up", 0])["pass"]
    nodes = {"later": later} | graph(up=node("LatentUpscale", width=1280, height=896))
    nodes["up"]["inputs"]["samples"] = ["pass", 0]
    found, said = values(nodes)
    assert (found["seed"], found["width"], found["height"]) == (7, 640, 448)
    assert "2 passes" in said
    assert "0.4" not in said, "the second pass' strength is not the first one's"


def test_a_pass_after_the_first_ones_picture() -> None:
    later = with_inputs("pass", seed=8, denoise=0.3, latent_image=["code", 0])["pass"]
    nodes = {"later": later} | graph(
        code=node("VAEEncode", pixels=["big", 0], vae=["loader", 2]),
        big=node("ImageScale", image=["shown", 0], width=1280, height=896),
        shown=node("VAEDecode", samples=["pass", 0], vae=["loader", 2]),
    )
    found, said = values(nodes)
    assert (found["seed"], found["width"]) == (7, 640)
    assert "2 passes" in said


def test_a_strength_below_one_is_said_and_no_size_guessed() -> None:
    nodes = with_inputs("pass", denoise=0.55, latent_image=["code", 0])
    nodes["code"] = node("VAEEncode", pixels=["photo", 0], vae=["loader", 2])
    nodes["photo"] = node("LoadImage", image="photo.png")
    found, said = values(nodes)
    assert "width" not in found
    assert "0.55" in said


def test_loras_on_the_models_way() -> None:
    nodes = with_inputs("pass", model=["ink", 0])
    nodes["ink"] = node(
        "LoraLoader", lora_name="styles\\ink.safetensors", strength_model=0.8, model=["many", 0]
    )
    nodes["many"] = node(
        "Power Lora Loader (rgthree)",
        model=["loader", 0],
        lora_1={"on": True, "lora": "paper.safetensors", "strength": 0.5},
        lora_2={"on": False, "lora": "off.safetensors", "strength": 1},
    )
    _, said = values(nodes)
    assert "LoRA ink (0.8)" in said
    assert "LoRA paper (0.5)" in said
    assert "off" not in said
    assert "meadow.safetensors" in said


def test_what_else_changes_the_picture_is_said() -> None:
    nodes = with_inputs("pass", model=["free", 0])
    nodes["free"] = node("FreeU_V2", b1=1.3, model=["loader", 0])
    nodes["skip"] = node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["loader", 1])
    _, said = values(nodes)
    assert "FreeU_V2" in said
    assert "clip skip (2)" in said


def test_brackets_of_comfyui_are_letters() -> None:
    found, said = values(with_inputs("good", text="a [red] lake, (calm:1.2)"))
    assert found["prompt"] == r"a \[red\] lake, (calm:1.2)"
    assert "[ ]" in said
