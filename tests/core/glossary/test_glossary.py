"""The glossary: every row is whole, links to what exists, and states figures that are so."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
)

from core.diffusion.models.files.tokenizers import Tokenizer
from core.diffusion.models.load import BUNDLED_FOLDER
from core.diffusion.recipe.noise_methods import slerp
from core.diffusion.recipe.settings_table import SETTINGS
from core.glossary.glossary import (
    GLOSSARY,
    found,
    words_of_figure,
    words_of_quantity,
    words_of_setting,
)
from core.glossary.term import GROUPS, Term
from core.output.effects.paired import holm
from core.output.figures.convergence_figure import CONVERGENCE
from core.output.figures.effect_figures import EFFECT_FIGURES
from core.output.figures.step_figure_rows import STEP_FIGURES
from core.output.figures.timetable_figures import ORDER, PLACES
from core.output.numbers.quantities import QUANTITIES, SETTLED_COSINE

FIGURES = {*STEP_FIGURES, PLACES.name, ORDER.name, *EFFECT_FIGURES, CONVERGENCE}
MOST_WORDS = 25
SD_BETAS: dict[str, Any] = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "num_train_timesteps": 1000,
}
every_term = pytest.mark.parametrize("term", GLOSSARY.values(), ids=lambda term: term.key)


@every_term
def test_a_word_is_two_short_sentences_with_a_dated_source(term: Term) -> None:
    for sentence in (term.what, term.more):
        assert sentence[0].isupper() or sentence[0] in "([{0123456789" or "diffusers" in sentence
        assert sentence.endswith(".")
        assert len(sentence.split()) <= MOST_WORDS
        assert not re.search(r"[a-zχ)]\. [A-Z]", sentence), "one sentence"
    is_dated = re.search(r"\b(19|20)\d\d\b", term.source)
    assert is_dated or re.search(r"diffusers, |AUTOMATIC1111|scikit-image", term.source)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", term.key)
    assert term.group in GROUPS


@every_term
def test_what_a_word_names_exists(term: Term) -> None:
    assert set(term.settings) <= set(SETTINGS)
    assert set(term.figures) <= FIGURES
    assert set(term.quantities) <= set(QUANTITIES)
    assert term.related
    assert set(term.related) <= set(GLOSSARY) - {term.key}


def test_every_setting_figure_and_measure_has_a_word() -> None:
    assert [name for name in SETTINGS if not words_of_setting(name)] == []
    assert [name for name in sorted(FIGURES) if not words_of_figure(name)] == []
    assert [name for name in QUANTITIES if not words_of_quantity(name)] == []


def test_the_word_that_a_setting_is_called_by_comes_first() -> None:
    for name in ("scheduler", "num_inference_steps", "strength", "eta", "seed", "prompt"):
        first = words_of_setting(name)[0]
        assert SETTINGS[name].label in (first.name, *first.also)


def test_names_are_distinct_and_there_are_about_as_many_as_asked() -> None:
    names = [term.name for term in GLOSSARY.values()]
    assert len(set(names)) == len(names) >= 60
    assert {term.group for term in GLOSSARY.values()} == set(GROUPS)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("sigma", "sigma"),
        ("CFG", "cfg"),
        ("karras 2022", "karras"),
        ("kynkaanniemi", "guidance-interval"),
        ("sampler", "scheduler"),
        ("seventh root", "karras"),
    ],
)
def test_a_search_finds_by_name_source_and_text(text: str, first: str) -> None:
    keys = [term.key for term in found(text)]
    assert first in keys
    named = [term.key for term in found(text) if term.is_named(text)]
    assert keys[: len(named)] == named


def test_a_search_keeps_to_its_group_and_finds_nothing_for_nonsense() -> None:
    assert found("", "Guidance") == [one for one in GLOSSARY.values() if one.group == "Guidance"]
    assert found("zebra crossing") == []
    assert found("sigma", "Evidence") == []


def test_every_name_of_diffusers_is_in_diffusers() -> None:
    folder = Path(diffusers.__file__).parent
    text = "\n".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    read = 0
    for term in GLOSSARY.values():
        for part in term.source.split("; "):
            if part.startswith("diffusers, "):
                for name in re.findall(r"[A-Za-z_]\w+(?:\.\w+)*", part.removeprefix("diffusers, ")):
                    for word in name.split("."):
                        is_code = "_" in word or re.search(r"[a-z][A-Z]", word)
                        if is_code:
                            read += 1
                            assert re.search(rf"\b{word}\b", text), f"{term.key}: {word}"
    assert read > 20


def test_stable_diffusions_levels_lie_where_sigma_says() -> None:
    alphas = DDIMScheduler(**SD_BETAS).alphas_cumprod.double()
    sigmas = ((1 - alphas) / alphas).sqrt()
    assert [f"{float(sigmas[0]):.2f}", f"{float(sigmas[-1]):.1f}"] == ["0.03", "14.6"]
    assert "0.03 and 14.6" in GLOSSARY["sigma"].more
    snr = alphas[-1] / (1 - alphas[-1])
    assert f"{float(snr):.4f}" == "0.0047"
    assert "0.0047" in GLOSSARY["zero-terminal-snr"].more
    assert torch.allclose(-2 * sigmas.log(), (alphas / (1 - alphas)).log())


def test_betas_are_even_in_their_roots() -> None:
    roots = DDIMScheduler(**SD_BETAS).betas.double().sqrt()
    assert torch.allclose(roots.diff(), roots.diff().mean().expand(999), atol=1e-7)
    assert "0.00085 to 0.012" in GLOSSARY["noise-schedule"].more


def test_v_is_the_negated_picture_in_noise_alone() -> None:
    scheduler = DDIMScheduler(
        **SD_BETAS, prediction_type="v_prediction", rescale_betas_zero_snr=True
    )
    x0, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    at: Any = torch.tensor([999])
    v = scheduler.get_velocity(x0, noise, at)
    assert torch.allclose(v, -x0, atol=1e-3)


def test_karras_levels_are_even_in_the_seventh_root() -> None:
    scheduler = EulerDiscreteScheduler(**SD_BETAS, use_karras_sigmas=True)
    scheduler.set_timesteps(12)
    roots = scheduler.sigmas[:-1].double() ** (1 / 7)
    assert torch.allclose(roots.diff(), roots.diff().mean().expand(11), atol=1e-5)
    assert float(scheduler.sigmas[5]) < float(scheduler.sigmas[0]) / 2, "more lie at low noise"


def test_leading_begins_below_the_noisiest_level() -> None:
    firsts: dict[str, int] = {}
    for spacing in ("leading", "trailing", "linspace"):
        scheduler = DDIMScheduler(**SD_BETAS, timestep_spacing=spacing, steps_offset=1)
        scheduler.set_timesteps(20)
        firsts[spacing] = int(scheduler.timesteps[0])
    assert firsts["leading"] < firsts["trailing"] == firsts["linspace"] == 999


def test_heun_calls_twice_in_all_steps_but_the_last() -> None:
    scheduler = HeunDiscreteScheduler(**SD_BETAS)
    scheduler.set_timesteps(20)
    assert len(scheduler.timesteps) == 2 * 20 - 1


def test_slerp_keeps_the_deviation_and_the_straight_line_does_not() -> None:
    a, b = torch.randn(2, 1, 4, 128, 128, generator=torch.Generator().manual_seed(1))
    assert float((0.5 * a + 0.5 * b).std()) == pytest.approx(math.sqrt(0.5), abs=0.01)
    assert float(slerp(a, b, 0.5).std()) == pytest.approx(1, abs=0.01)
    assert "0.71" in GLOSSARY["slerp"].more


@pytest.mark.parametrize(("steps", "strength"), [(20, 0.37), (7, 0.5), (10, 1.0), (10, 0.05)])
def test_strength_is_rounded_down_as_in_diffusers(steps: int, strength: float) -> None:
    pipeline: Any = StableDiffusionImg2ImgPipeline.__new__(StableDiffusionImg2ImgPipeline)
    scheduler = DDIMScheduler(**SD_BETAS)
    scheduler.set_timesteps(steps)
    object.__setattr__(pipeline, "scheduler", scheduler)
    timesteps, run = pipeline.get_timesteps(steps, strength, "cpu")
    assert run == min(math.floor(steps * strength), steps) == len(timesteps)


def test_the_parts_of_the_bundled_model_are_as_the_words_say() -> None:
    vae = json.loads((BUNDLED_FOLDER / "vae" / "config.json").read_text(encoding="utf-8"))
    assert (vae["latent_channels"], 2 ** (len(vae["block_out_channels"]) - 1)) == (4, 8)
    counter = Tokenizer(BUNDLED_FOLDER)
    assert counter.limit + 2 == 77, "two mark the beginning and the end"
    assert "at 0.99 or above" in GLOSSARY["settling"].more
    assert SETTLED_COSINE == 0.99


def test_holm_multiplies_the_smallest_by_their_number() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert "multiplied by their number" in GLOSSARY["holm"].more


def test_churn_raises_sigma_by_one_plus_gamma() -> None:
    scheduler = EulerDiscreteScheduler(**SD_BETAS)
    scheduler.set_timesteps(10)
    sigma = float(scheduler.sigmas[0])
    x = torch.zeros(1, 4, 64, 64)
    gamma = min(2 / 10, math.sqrt(2) - 1)
    noised: Any = scheduler.step(
        x,
        scheduler.timesteps[0],
        x,
        s_churn=2,
        generator=torch.Generator().manual_seed(0),
    )
    # The predicted x0 of a zero prediction is the latents with the noise that churn has added.
    added = noised.pred_original_sample.double().std()
    assert float(added) == pytest.approx(sigma * math.sqrt((1 + gamma) ** 2 - 1), rel=0.03)
