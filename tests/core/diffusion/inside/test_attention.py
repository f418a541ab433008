"""Attention maps: shares that sum to one, the layers' own weights, and nothing left behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.diffusion.engine import Engine
from core.diffusion.inside.attention import AttentionSum, WatchedAttention, attend, shrunk, watching
from core.diffusion.models.load import LoadedModel
from tests.conftest import max_difference
from tests.core.diffusion.inside.taken_apart import SHORT, UNGUIDED, finish


def processors(model: LoadedModel) -> list[object]:
    return [layer.processor for layer in model.unet.modules() if hasattr(layer, "processor")]


@pytest.mark.parametrize("settings", [SHORT, UNGUIDED], ids=["guided", "unguided"])
def test_maps_are_shares_over_all_places(model: LoadedModel, settings: object) -> None:
    assert isinstance(settings, type(SHORT))
    found = finish(attend(model, settings))
    assert found.maps.shape == (77, 16, 16)
    assert np.allclose(found.maps.sum(0), 1, atol=1e-5)
    assert found.maps.min() >= 0
    assert found.calls == 6
    layers = [name for name, _ in model.unet.named_modules() if name.endswith("attn2")]
    assert found.layers == len(layers)


def test_the_picture_is_the_runs_and_every_processor_is_back(
    model: LoadedModel, engine: Engine
) -> None:
    before = processors(model)
    found = finish(attend(model, SHORT))
    assert all(one is other for one, other in zip(processors(model), before, strict=True))
    assert max_difference(found.image, engine.generate([SHORT], strict=True)[0].image) == 0


def test_between_two_pieces_the_unet_is_everybodys(model: LoadedModel) -> None:
    before = processors(model)
    work = attend(model, SHORT)
    for _ in range(3):
        next(work)
        assert all(one is other for one, other in zip(processors(model), before, strict=True))
    work.close()
    assert all(one is other for one, other in zip(processors(model), before, strict=True))


def test_an_error_in_the_unet_leaves_nothing_behind(model: LoadedModel) -> None:
    before = processors(model)

    def fail_while_watching() -> None:
        with watching(model.unet, AttentionSum((16, 16)), row=0):
            assert any(isinstance(one, WatchedAttention) for one in processors(model))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_while_watching()
    assert all(one is other for one, other in zip(processors(model), before, strict=True))


def test_one_call_is_what_the_layers_weigh_by(model: LoadedModel) -> None:
    """By hooks on the projections, computed apart from the processor."""
    settings = replace(SHORT, num_inference_steps=1)
    seen: dict[str, torch.Tensor] = {}
    hooks = []
    for name, layer in model.unet.named_modules():
        if name.endswith(("attn2.to_q", "attn2.to_k")):

            def keep(_: object, __: object, output: torch.Tensor, name: str = name) -> None:
                seen.setdefault(name, output)  # the layer's own comes after ours: they are equal

            hooks.append(layer.register_forward_hook(keep))
    try:
        Engine(model).generate([settings], strict=True)
    finally:
        for hook in hooks:
            hook.remove()
    total = torch.zeros(77, 16, 16)
    names = [name for name, _ in model.unet.named_modules() if name.endswith("attn2")]
    for name in names:
        attn = model.unet.get_submodule(name)
        query, key = seen[f"{name}.to_q"][1], seen[f"{name}.to_k"][1]
        size = query.shape[1] // attn.heads
        query = query.view(-1, attn.heads, size).transpose(0, 1)
        key = key.view(-1, attn.heads, size).transpose(0, 1)
        weights = torch.softmax(query @ key.transpose(1, 2) / size**0.5, dim=-1).mean(0)
        side = int(len(weights) ** 0.5)
        grid = weights.T.reshape(1, 77, side, side)
        total += torch.nn.functional.interpolate(
            grid, size=(16, 16), mode="bilinear", align_corners=False
        )[0]
    found = finish(attend(model, settings))
    assert np.abs(found.maps - (total / len(names)).numpy()).max() < 1e-5


def test_where_the_object_is_its_word_acts_most(model: LoadedModel) -> None:
    """The bundled model paints the red apple in the middle, on a plain background."""
    settings = replace(SHORT, num_inference_steps=20, negative_prompt="")
    found = finish(attend(model, settings))
    pixels = np.asarray(found.image.resize((16, 16)), dtype=float)
    is_red = pixels[..., 0] > pixels[..., 2] + 60
    assert 20 < is_red.sum() < 200
    place = next(place.position for place in found.prompt.tokens if place.text == "red")
    red = found.maps[place]
    assert red[is_red].mean() > 1.5 * red[~is_red].mean()


def test_layers_sizes_are_halvings_of_the_latents() -> None:
    assert shrunk((16, 24), 16 * 24) == (16, 24)
    assert shrunk((17, 12), 9 * 6) == (9, 6)
    assert shrunk((17, 12), 5 * 3) == (5, 3)
    with pytest.raises(ValueError, match="no halving"):
        shrunk((16, 16), 100)


def test_a_picture_that_is_not_square(model: LoadedModel) -> None:
    settings = replace(SHORT, num_inference_steps=1, width=96, height=136)
    found = finish(attend(model, settings))
    assert found.maps.shape == (77, 17, 12)
    assert np.allclose(found.maps.sum(0), 1, atol=1e-5)


def test_a_prompt_in_chunks_has_a_map_for_each_place_of_both(model: LoadedModel) -> None:
    settings = replace(SHORT, num_inference_steps=1, prompt="a red apple BREAK on a table")
    found = finish(attend(model, settings))
    assert found.maps.shape == (154, 16, 16)
    assert len(found.prompt.places) == 154
    assert np.allclose(found.maps.sum(0), 1, atol=1e-5)


def test_beside_a_longer_negative_prompt_a_place_has_one_map(model: LoadedModel) -> None:
    """The text then stands there twice, and each time it has half of the same attention."""
    settings = replace(SHORT, num_inference_steps=1)
    plain = finish(attend(model, settings))
    found = finish(attend(model, replace(settings, negative_prompt="blue BREAK flat")))
    assert found.maps.shape == plain.maps.shape == (77, 16, 16)
    assert np.abs(found.maps - plain.maps).max() < 1e-4, "the first call has the same noise"
