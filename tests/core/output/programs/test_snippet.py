"""The snippet makes the engine's picture, pixel for pixel, in a process of its own."""

from __future__ import annotations

import ast
import builtins
import inspect
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from core.diffusion.engine import Engine
from core.diffusion.models.load import BUNDLED_FOLDER, load_model
from core.diffusion.recipe import masks, schedule
from core.diffusion.recipe.noise_methods import METHODS
from core.diffusion.recipe.prompt.weights import has_weights, plain_text, weigh
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling import guidance, prediction, sampler
from core.diffusion.settings import GenerationSettings, SettingsError
from core.output.programs.quoted import SOURCES, quoted
from core.output.programs.snippet import snippet
from tests.core.output.programs.places import placed

PLAIN = GenerationSettings(
    prompt="a red apple on a blue background, flat style",
    seed=3,
    num_inference_steps=6,
    scheduler="DPM++ 2M Karras",
)
EVERYTHING = GenerationSettings(
    prompt='a "glossy" robot\'s {head}\n\\ on yellow',
    negative_prompt="blue",
    seed=11,
    width=96,
    height=136,
    num_inference_steps=5,
    guidance_scale=5.5,
    guidance_rescale=0.4,
    scheduler="Euler a",
    variation_seed=12,
    variation_strength=0.35,
)
UNGUIDED = GenerationSettings(
    prompt="cat", negative_prompt="x", guidance_scale=1, num_inference_steps=4, scheduler="PNDM"
)

# Every method once, one after another, and the first of two prompts left for the second.
VARIED = replace(
    PLAIN,
    num_inference_steps=3,
    variation_chain=" ".join(
        f"{method.name}:{seed}:0.{seed}"
        + {"variation_region": ":40,16,100,90"}.get(method.uses, "")
        + {"variation_channel": ":2"}.get(method.uses, "")
        for seed, method in enumerate(METHODS.values(), start=1)
    ),
    variation_seed=5,
    variation_strength=1.0,
    prompt_2="a glossy robot",
    prompt_blend=0.4,
    negative_prompt="blue",
)
BLENDED = replace(UNGUIDED, prompt_2='a "dog"', prompt_blend=1.0)
WEIGHED = replace(PLAIN, prompt=r'a (re)d ((app"le)) \(on\) [blue:0.5]', num_inference_steps=2)
WEIGHTED = [
    WEIGHED,
    replace(VARIED, negative_prompt="(blue:1.4)", num_inference_steps=2),
    replace(UNGUIDED, prompt="(cat:0.3)", num_inference_steps=2),
    replace(WEIGHED, clip_skip=1, negative_prompt="(blue:1.4)"),
    replace(WEIGHED, emphasis="No norm"),
]
SKIPPED = [
    replace(PLAIN, clip_skip=2, negative_prompt="blue", num_inference_steps=2),
    replace(BLENDED, clip_skip=1, num_inference_steps=2),
]

SAMPLED = [
    replace(PLAIN, **{"num_inference_steps": 3, **changes})
    for changes in (
        {"scheduler": "DDIM", "eta": 0.5, "timestep_spacing": "trailing"},
        {"scheduler": "Euler a", "eta": 0.5, "noise_multiplier": 1.05},
        {"scheduler": "Euler", "s_churn": 2.0, "final_sigmas_type": "sigma_min"},
        {"scheduler": "Euler", "s_churn": 2.0, "snapshot": 2},
        {"scheduler": "Euler a", "eta": 0.25, "snapshot": 2},
        {"scheduler": "DPM2 a", "eta": 0.5},
        {"scheduler": "DPM2 a", "eta": 0.25, "snapshot": 2},
        {"scheduler": "Heun", "s_churn": 2.0, "num_inference_steps": 20},
        {"scheduler": "Heun", "s_churn": 50.0, "snapshot": 3},
        {"scheduler": "UniPC", "solver_order": 3, "sigma_schedule": "beta"},
        {"scheduler": "DPM++ 2M Karras", "sigma_schedule": "exponential", "solver_type": "heun"},
        {"scheduler": "DEIS", "lower_order_final": False, "variation_strength": 0.3},
    )
]

GUIDED = [
    replace(PLAIN, **{"guidance_scale": 6.0, "num_inference_steps": 4, **changes})
    for changes in (
        {"guidance_start": 0.25, "guidance_end": 0.8, "negative_prompt": "blue"},
        {"guidance_scale": 0.5, "guidance_below_1": True},
        {"guidance_method": "APG", "apg_norm_threshold": 3.0, "guidance_rescale": 0.3},
        {
            "guidance_method": "APG",
            "guidance_start": 0.25,
            "prompt_2": "a dog",
            "prompt_blend": 0.4,
        },
        {"guidance_method": "CFG-Zero*", "zero_init_steps": 1, "scheduler": "Euler a"},
        {"guidance_method": "CFG++", "guidance_scale": 0.6, "scheduler": "DDIM"},
        {"guidance_method": "CFG++", "guidance_end": 0.5, "scheduler": "Euler", "snapshot": 3},
        {"guidance_method": "PAG", "guidance_end": 0.5, "pag_layers": "up"},
        {"guidance_method": "PAG", "pag_scale": 0.0, "guidance_end": 0.5},
        {"guidance_method": "PAG", "guidance_scale": 1.0, "prompt": "a (red:1.4) cat"},
    )
]

# One scheduler for each place where the noise level of a call stands.
MARKED = [
    replace(PLAIN, prompt="a [red:blue:0.5] apple [on a table|in a tree]"),
    replace(PLAIN, prompt="a (red:1.3) apple BREAK on a [table::1]", negative_prompt="[a:b:1]"),
    replace(PLAIN, prompt="an apple AND a (robot:1.2) :0.5 AND [owl|dog]", guidance_scale=1.0),
    replace(
        PLAIN,
        prompt="an apple AND a robot :-0.3",
        guidance_end=0.5,
        guidance_rescale=0.4,
        scheduler="Heun",
    ),
    replace(PLAIN, prompt="an apple AND a robot BREAK blue", guidance_method="APG"),
    replace(
        PLAIN,
        prompt="[an apple:a robot:1]",
        prompt_2="an owl BREAK blue",
        prompt_blend=0.4,
        clip_skip=1,
        scheduler="PNDM",
        num_inference_steps=3,
    ),
    replace(PLAIN, prompt="[an apple:a robot:1]", snapshot=2, guidance_scale=1.0),
]
MASKED = replace(PLAIN, init_image="0" * 64, mask_image="0" * 64)
SNAPSHOTS = [
    replace(PLAIN, scheduler=name, num_inference_steps=4, snapshot=call)
    for name, call in [
        ("DPM++ 2M", 2),
        ("Euler a", 3),
        ("DDIM", 2),
        ("PNDM", 3),
        ("DPM2", 4),
        ("DPM2 a", 4),
    ]
]


def test_a_row_of_every_kind_is_tested() -> None:
    kinds = {SCHEDULERS[settings.scheduler].sigma_at for settings in SNAPSHOTS}
    assert kinds == {row.sigma_at for row in SCHEDULERS.values()}


def test_the_program_makes_the_engines_pixels(tmp_path: Path) -> None:
    """One process runs them all, each in its own folder: starting torch is what takes time."""
    wanted = Engine(load_model("bundled", device="cpu")).generate(
        [
            PLAIN,
            EVERYTHING,
            UNGUIDED,
            VARIED,
            BLENDED,
            *WEIGHTED,
            *SKIPPED,
            *SNAPSHOTS,
            *SAMPLED,
            *GUIDED,
            *MARKED,
        ],
        strict=True,
    )
    program = "import os\nimport torch\ntorch.cuda.is_available = lambda: False\n"
    for index, generation in enumerate(wanted):
        folder = tmp_path / str(index)
        folder.mkdir()
        text = placed(snippet(generation.settings, BUNDLED_FOLDER), BUNDLED_FOLDER)
        program += f"os.chdir({str(folder)!r})\nexec({text!r}, {{}})\n"
    file = tmp_path / "all.py"  # longer than a command line may be
    file.write_text(program, encoding="utf-8")
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    for index, generation in enumerate(wanted):
        made = np.asarray(Image.open(tmp_path / str(index) / "image.png"), dtype=int)
        difference = np.abs(made - np.asarray(generation.image, dtype=int)).max()
        assert difference == 0, generation.settings


@given(prompt=st.text(), negative=st.text(), source=st.text())
@example(prompt="", negative="", source="m" * 300)  # more than a file's name may have
def test_no_text_leaves_its_quotes(prompt: str, negative: str, source: str) -> None:
    if "\x00" in prompt + negative or has_weights(prompt) or has_weights(negative):
        return
    settings = GenerationSettings(prompt=prompt, negative_prompt=negative)
    tree = ast.parse(snippet(settings, source))
    plain = ast.parse(snippet(GenerationSettings(prompt="p", negative_prompt="n"), "s"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert len(calls) == len([node for node in ast.walk(plain) if isinstance(node, ast.Call)])
    values = {
        keyword.arg: keyword.value.value
        for call in calls
        for keyword in call.keywords
        if isinstance(keyword.value, ast.Constant)
    }
    assert values["prompt"] == plain_text(prompt)
    assert values.get("negative_prompt", "") == plain_text(negative)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_program_imports_what_it_uses(name: str) -> None:
    text = snippet(GenerationSettings(prompt="x", scheduler=name), "some/model")
    row = SCHEDULERS[name]
    assert f"from diffusers import {row.class_name}, StableDiffusionPipeline" in text
    tree = ast.parse(text)
    call = next(
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "from_config"
    )
    given_options = {
        keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg
    }
    assert given_options == dict(row.config)


def test_what_has_no_effect_is_left_out() -> None:
    text = snippet(UNGUIDED, "m")
    assert "negative_prompt" not in text
    assert "guidance_rescale" not in text
    assert "latents" not in text


def test_settings_that_cannot_run_have_no_program() -> None:
    with pytest.raises(SettingsError, match="width"):
        snippet(GenerationSettings(width=100), "m")


def test_no_path_of_this_computer_is_in_a_program(tmp_path: Path) -> None:
    folder = tmp_path / "somebody" / "my model"
    folder.mkdir(parents=True)
    for source in ("bundled", BUNDLED_FOLDER, folder, tmp_path / "no longer here"):
        text = snippet(PLAIN, source)
        assert str(tmp_path) not in text
        assert str(BUNDLED_FOLDER.parent) not in text
        said = next(line for line in text.splitlines() if line.startswith("model = "))
        is_bundled = source in ("bundled", BUNDLED_FOLDER)
        assert said == f"model = {'models/bundled' if is_bundled else Path(source).name!r}"
        assert "write here where" in text[: text.index(said)].splitlines()[-1]
    assert "model =" not in snippet(PLAIN, "somebody/toy"), "a hub id is the same everywhere"


def test_the_samplers_own_functions_are_quoted() -> None:
    """Their bodies stand in the program as they stand in the source, docstring and all."""
    bodies = {
        "to_x0": (prediction.to_x0, replace(PLAIN, snapshot=2)),
        "weigh": (weigh, replace(PLAIN, prompt="a (red:1.4) apple")),
        "ancestral_step": (sampler.ancestral_step, replace(PLAIN, scheduler="Euler a", eta=0.5)),
        "ancestral_timesteps": (
            schedule.ancestral_timesteps,
            replace(PLAIN, scheduler="DPM2 a", eta=0.5),
        ),
        "churned_step": (sampler.churned_step, replace(PLAIN, scheduler="Heun", s_churn=5.0)),
        "churned_timesteps": (
            schedule.churned_timesteps,
            replace(PLAIN, scheduler="Heun", s_churn=5.0),
        ),
        "cfg": (guidance.cfg, replace(PLAIN, init_image="0" * 64, guidance_rescale=0.4)),
        "apg": (guidance.apg, GUIDED[2]),
        "averaged": (guidance.averaged, GUIDED[2]),
        "zero_star": (guidance.zero_star, GUIDED[4]),
        "renoised": (guidance.renoised, GUIDED[5]),
        "to_epsilon": (prediction.to_epsilon, GUIDED[5]),
        "pag": (guidance.pag, GUIDED[7]),
        "composed": (guidance.composed, MARKED[2]),
        "grown": (masks.grown, replace(MASKED, mask_grow=3)),
        "may_change": (masks.may_change, replace(MASKED, mask_mode="differential")),
    }
    assert set(bodies) == set(SOURCES)
    for name, (function, settings) in bodies.items():
        source = inspect.getsource(function)
        body = source[source.index('    """') :]
        assert body in snippet(settings, "some/model"), name
        assert f"def {name}(" not in snippet(PLAIN, "some/model"), name


def test_what_is_quoted_brings_what_it_calls() -> None:
    of_scheduler = {"config", "prediction_type", "sigmas", "step_index", "_step_index"}
    of_scheduler |= {"_init_step_index", "set_timesteps", "sigmas_up", "sigmas_down"}
    of_scheduler |= {"sigmas_interpol", "_sigma_to_t", "log_sigmas", "timesteps", "step"}
    of_scheduler |= {"alphas_cumprod", "set_begin_index", "state_in_first_order"}
    for name in SOURCES:
        names: dict[str, object] = {"torch": torch, "np": np}
        exec(quoted(name), names)
        code = names[name].__code__  # type: ignore[attr-defined]
        missing = [
            one
            for one in code.co_names
            if one not in names
            and not hasattr(builtins, one)
            and not hasattr(torch.Tensor, one)
            and not hasattr(np, one)
        ]
        of_settings = {"guidance_scale", "apg_eta", "apg_norm_threshold", "apg_momentum"}
        of_settings |= {"pag_scale", "cond", "uncond", "perturbed", "carried"}
        assert set(missing) <= {"abs", "running_average"} | of_settings | of_scheduler, name
