import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import (
    MAX_SEED,
    POSTERIORS,
    GenerationSettings,
    SettingsError,
    nearest_scheduler,
)
from tests.needs import NEEDS

GOOD = GenerationSettings(prompt="a red apple")
DIGEST = "5e" * 32

settings = st.builds(
    GenerationSettings,
    prompt=st.text(),
    negative_prompt=st.text(),
    seed=st.integers(0, MAX_SEED),
    width=st.integers(1, 64).map(lambda n: n * 8),
    height=st.integers(1, 64).map(lambda n: n * 8),
    num_inference_steps=st.integers(1, 1000),
    guidance_scale=st.floats(0, 100),
    guidance_rescale=st.floats(0, 1),
    scheduler=st.sampled_from(list(SCHEDULERS)),
    variation_seed=st.integers(0, MAX_SEED),
    variation_strength=st.floats(0, 1),
    init_image=st.just("") | st.just(DIGEST),
    strength=st.floats(0.05, 1),
    match_noise=st.booleans(),
    posterior=st.sampled_from(POSTERIORS),
    snapshot=st.just(0),
)


@given(settings)
def test_a_dict_rebuilds_the_settings(one: GenerationSettings) -> None:
    assert GenerationSettings.from_dict(one.to_dict()) == one


def test_every_bad_field_is_reported_at_once_with_what_to_do() -> None:
    bad = GenerationSettings(
        model=" ",
        prompt="a\x00b",
        seed=-1,
        width=130,
        height=0,
        num_inference_steps=0,
        guidance_scale=math.nan,
        guidance_rescale=1.5,
        scheduler="DPM 2M Karas",
        variation_strength=math.inf,
        variation_method="lerp",
    )
    problems = {problem.field: problem.reason for problem in bad.validate()}
    assert set(problems) == {
        "model",
        "prompt",
        "seed",
        "width",
        "height",
        "num_inference_steps",
        "guidance_scale",
        "guidance_rescale",
        "scheduler",
        "variation_strength",
        "variation_method",
    }
    assert "the nearest is 128" in problems["width"]
    assert "the nearest is 8" in problems["height"]
    assert "'DPM++ 2M Karras'" in problems["scheduler"]
    assert "not a finite number" in problems["guidance_scale"]
    with pytest.raises(SettingsError) as caught:
        bad.require_valid()
    assert len(caught.value.problems) == len(problems)


@given(settings)
def test_what_is_in_bounds_is_valid(one: GenerationSettings) -> None:
    clean = replace(
        one,
        prompt=one.prompt.replace("\x00", ""),
        negative_prompt=one.negative_prompt.replace("\x00", ""),
    )
    assert clean.validate() == []


def test_unknown_keys_and_wrong_types_are_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="did you mean guidance_scale") as caught:
        GenerationSettings.from_dict({"guidence_scale": 3, "seed": 1.5, "prompt": 7})
    assert [p.field for p in caught.value.problems] == ["guidence_scale", "seed", "prompt"]


def test_whole_floats_are_read_as_the_field_has_them() -> None:
    read = GenerationSettings.from_dict({"seed": 7.0, "guidance_scale": 4})
    assert read.seed == 7
    assert isinstance(read.guidance_scale, float)


def test_a_snapshot_lies_within_the_calls_of_its_run() -> None:
    heun = replace(GOOD, scheduler="Heun", num_inference_steps=5, snapshot=9)
    assert heun.validate() == []
    problems = replace(heun, snapshot=10).validate()
    assert [p.field for p in problems] == ["snapshot"]
    assert "0 to 9" in problems[0].reason


@pytest.mark.parametrize("name", [field.name for field in fields(GenerationSettings)])
def test_every_field_that_matters_changes_the_digest(name: str) -> None:
    base = replace(GOOD, variation_strength=0.5, prompt_blend=0.5, init_image=DIGEST, strength=0.5)
    method = {"variation_region": "region", "variation_channel": "channel"}.get(name)
    base = replace(base, variation_method=method or base.variation_method)
    base = replace(base, **{k: v for k, v in NEEDS.get(name, {}).items() if k != "init_image"})
    value = getattr(base, name)
    if isinstance(value, bool):
        other: object = not value
    elif name == "guidance_end":
        other = value - 0.25
    elif isinstance(value, float):
        other = value + 0.25
    else:
        other = value + 8 if isinstance(value, int) else "x"
    changed = replace(base, **{name: other})
    # A model's name is not its identity: the fingerprint is.
    assert (changed.digest("m") == base.digest("m")) == (name == "model")
    assert base.digest("m") != base.digest("n")


def test_what_has_no_effect_does_not_change_the_digest() -> None:
    unguided = replace(GOOD, guidance_scale=1.0)
    assert replace(unguided, negative_prompt="blue").digest("m") == unguided.digest("m")
    assert replace(unguided, guidance_scale=0.5).digest("m") == unguided.digest("m")
    assert replace(GOOD, variation_seed=9).digest("m") == GOOD.digest("m")
    nowhere = replace(GOOD, variation_method="region", variation_region="0,0,8,8")
    assert replace(nowhere, variation_channel=2).digest("m") == GOOD.digest("m")
    assert replace(GOOD, prompt_2="an owl").digest("m") == GOOD.digest("m")
    slerp = replace(GOOD, variation_strength=0.5)
    other = replace(slerp, variation_region="0,0,8,8", variation_channel=2)
    assert other.digest("m") == slerp.digest("m"), "slerp has no use for them"


def test_the_digest_is_pinned() -> None:
    """A changed digest orphans every stored image: raise NUMERICS_VERSION on purpose only."""
    assert GOOD.digest("f").startswith("0983b2bf102ee9ca")
    varied = replace(GOOD, variation_seed=7, variation_strength=0.25)
    assert varied.digest("f").startswith("e85d8fd5d835af0a")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("euler a", "Euler a"), ("ddmi", "DDIM"), ("dpm++ 2m karras", "DPM++ 2M Karras")],
)
def test_the_nearest_scheduler(typed: str, meant: str) -> None:
    assert nearest_scheduler(typed) == meant


def test_image_to_image_settings_without_a_source_change_nothing() -> None:
    dressed = replace(GOOD, strength=0.3, exact_steps=True, match_noise=True, posterior="mean")
    assert dressed.digest("f") == GOOD.digest("f")


def test_strengths_that_begin_at_the_same_step_are_one_image() -> None:
    source = replace(GOOD, init_image=DIGEST, num_inference_steps=10)
    half = replace(source, strength=0.5)
    assert half.digest("f") == replace(source, strength=0.59).digest("f")
    assert half.digest("f") != replace(source, strength=0.6).digest("f")
    # 5 exact steps at one half lay out 10 and run the last 5.
    exact = replace(source, strength=0.5, num_inference_steps=5, exact_steps=True)
    assert exact.digest("f") == half.digest("f")
    # Matched noise begins where the model's own noise levels say.
    assert replace(half, match_noise=True).digest("f") != half.digest("f")


def test_true_and_false_are_read_as_such() -> None:
    read = GenerationSettings.from_dict({"exact_steps": True, "match_noise": False})
    assert (read.exact_steps, read.match_noise) == (True, False)
    with pytest.raises(SettingsError, match="true or false"):
        GenerationSettings.from_dict({"exact_steps": 1})
    with pytest.raises(SettingsError, match="whole number"):
        GenerationSettings.from_dict({"seed": True})


def test_settings_of_before_image_to_image_are_read() -> None:
    old = {"prompt": "a red apple", "seed": 3, "variation_method": "slerp"}
    assert GenerationSettings.from_dict(old).init_image == ""


def test_what_is_wrong_with_a_source_is_said() -> None:
    bad = replace(GOOD, init_image="cat.png", mask_image="XY", posterior="mode", strength=1.5)
    problems = {problem.field for problem in bad.validate()}
    assert problems == {"init_image", "mask_image", "posterior", "strength"}
    masked = replace(GOOD, mask_image=DIGEST)
    assert "needs a source" in str(masked.validate()[0])
    dense = replace(GOOD, init_image=DIGEST, exact_steps=True, strength=0.01)
    assert "their schedule would have 2000" in str(dense.validate()[0])
    assert replace(dense, strength=0.0).validate() == []
    late = replace(GOOD, init_image=DIGEST, strength=0.5, snapshot=11)
    assert "0 to 10" in str(late.validate()[0])
