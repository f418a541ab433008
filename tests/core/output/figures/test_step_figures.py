"""Figures over the steps: every point is the record's number, at the record's place."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from core.diffusion.engine import Engine
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import StepRecord
from core.output.figures.figures import LINE_COLOURS
from core.output.figures.step_figure_rows import ALONG, GROUPS, STEP_FIGURES
from core.output.figures.step_figures import (
    NO_GUIDANCE,
    NOT_RECORDED,
    SAME_PREDICTIONS,
    analytic_rms,
    channel_rms,
    data_mean_square,
    step_figure,
)
from core.output.figures.step_runs import Run, colouring, differing, labels
from core.output.figures.step_table import step_table
from tests.core.output.figures.step_doubles import step_run

RUNS = [
    step_run("a", guidance_scale=2.0),
    step_run("b", guidance_scale=8.0, steps=7, scale=2.0, num_inference_steps=4),
]


def draw(runs: list[Run], name: str, along: str = "step", **options: Any) -> go.Figure:
    return step_figure(runs, name, along, colouring(runs), **options)


def lines(figure: go.Figure) -> list[Any]:
    """The traces that are of a run."""
    return [trace for trace in figure.data if trace.meta is not None]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("latent_rms", ["latent_rms"]),
        ("raw_norm", ["raw_latent_norm"]),
        ("x0_rms", ["x0_rms"]),
        ("guidance_gap", ["guidance_gap"]),
        ("guidance_gap_x0", ["guidance_gap_x0"]),
        ("misalignment", ["misalignment"]),
        ("guidance_parts", ["x0_gap_orthogonal", "x0_gap_parallel"]),
        ("std_inflation", ["std_inflation"]),
        ("settling", ["settling"]),
        ("x0_cos_final", ["x0_cos_final"]),
        ("saturation", ["saturation"]),
    ],
)
@pytest.mark.parametrize("along", list(ALONG))
def test_every_point_is_the_records_number(name: str, fields: list[str], along: str) -> None:
    """Two runs with different numbers of steps in one figure."""
    found = lines(draw(RUNS, name, along))
    assert len(found) == len(RUNS) * len(fields)
    for index, run in enumerate(RUNS):
        for trace, field in zip([t for t in found if t.meta["run"] == index], fields, strict=True):
            expected = [getattr(record, field) for record in run.records]
            assert list(trace.y) == expected, field
            assert list(trace.x) == [ALONG[along].of(record) for record in run.records]
            assert [list(point)[:2] for point in trace.customdata] == [
                [index, step + 1] for step in range(len(run.records))
            ]


def test_the_figures_cover_every_quantity_of_a_record() -> None:
    """A quantity that is recorded and drawn nowhere would be found here."""
    shown = set[str]()
    for row in STEP_FIGURES.values():
        for line in row.lines:
            record = RUNS[0].records[2]
            value = line.of(record)
            shown |= {
                name for name in record.__dataclass_fields__ if getattr(record, name) == value
            }
    places = {"step_index", "timestep", "sigma", "log_snr"}
    channels = {"channel_mean", "channel_std"}  # the figure of the channels draws these
    assert set(RUNS[0].records[0].__dataclass_fields__) - places - channels <= shown


def test_each_figure_says_in_one_sentence_what_to_look_for_and_whence() -> None:
    for row in STEP_FIGURES.values():
        assert row.look.endswith("."), row.name
        assert len(row.look) < 240, row.name
        assert any(f"20{year}" in row.look for year in range(20, 26)) or "diffusers'" in row.look
        assert row.group in GROUPS
        # One sentence: no full stop but those of "et al.", "eq.", "sec." and "app.".
        plain = row.look
        for short in ("et al.", "eq.", "sec.", "app."):
            plain = plain.replace(short, "")
        assert plain.count(". ") == 0, row.name


def test_time_runs_to_the_right_on_every_axis() -> None:
    for along in ALONG.values():
        figure = draw(RUNS, "x0_rms", along.name)
        places = [along.of(record) for record in RUNS[0].records]
        is_falling = places[0] > places[-1]
        assert figure.layout.xaxis.autorange == ("reversed" if is_falling else True), along.name
    assert draw(RUNS, "misalignment").layout.yaxis.type == "log"
    assert draw(RUNS, "x0_rms", "sigma").layout.xaxis.type == "log"


def test_what_an_axis_cannot_hold_is_a_gap() -> None:
    """Sigma 0 has no place on a logarithmic axis and an infinite log-SNR none anywhere."""
    run = step_run()
    last = replace(run.records[-1], sigma=0.0, log_snr=math.inf, misalignment=0.0)
    ended = [replace(run, records=(*run.records[:-1], last))]
    assert lines(draw(ended, "x0_rms", "sigma"))[0].x[-1] is None
    assert lines(draw(ended, "x0_rms", "log_snr"))[0].x[-1] is None
    assert lines(draw(ended, "misalignment"))[0].y[-1] is None


def test_without_guidance_a_guidance_figure_says_so() -> None:
    off = [step_run("off", guidance_scale=1.0)]
    for row in STEP_FIGURES.values():
        figure = draw(off, row.name)
        said = [note.text.replace("<br>", " ") for note in figure.layout.annotations]
        assert said == ([NO_GUIDANCE] if row.needs_guidance else []), row.name
    both = [off[0], step_run("on", guidance_scale=4.0)]
    silent, spoken = lines(draw(both, "guidance_gap"))
    assert set(silent.y) == {None}
    assert None not in spoken.y


def test_predictions_that_are_the_same_are_not_called_guidance_off() -> None:
    """The prompt is the negative prompt: the gap is 0, which a logarithmic axis cannot hold."""
    run = step_run(guidance_scale=4.0, prompt="a cat", negative_prompt="a cat")
    none = {"misalignment": 0.0, "guidance_gap": 0.0, "guidance_gap_x0": 0.0}
    same = replace(run, records=tuple(replace(record, **none) for record in run.records))
    for name in ("misalignment", "guidance_gap_x0"):
        (note,) = draw([same], name).layout.annotations
        assert note.text.replace("<br>", " ") == SAME_PREDICTIONS
    assert not draw([same], "guidance_gap").layout.annotations
    off = step_run("off", guidance_scale=1.0)
    (note,) = draw([same, off], "misalignment").layout.annotations
    assert note.text.replace("<br>", " ") == SAME_PREDICTIONS, "guidance is on in one of them"


def test_std_inflation_is_recorded_after_the_rescale_and_says_so(engine: Engine) -> None:
    """A guidance_rescale of 1 gives the guided prediction eps_c's own deviation."""
    settings = GenerationSettings(
        prompt="a star",
        width=64,
        height=64,
        num_inference_steps=3,
        guidance_scale=9.0,
        scheduler="DDIM",
    )
    plain, rescaled = (
        engine.generate([replace(settings, guidance_rescale=share)])[0].trajectory
        for share in (0.0, 1.0)
    )
    assert plain is not None
    assert rescaled is not None
    assert plain.records[0].std_inflation > 1.01
    assert [r.std_inflation for r in rescaled.records] == pytest.approx([1.0] * 3, abs=1e-4)
    assert "after a guidance_rescale this is what is left" in STEP_FIGURES["std_inflation"].look


def test_the_dashed_curve_is_noise_and_data_added_up() -> None:
    """Against a million draws: x = sqrt(abar) x0 + sqrt(1 - abar) eps for x0 of mean square v."""
    chance = np.random.default_rng(0)
    v = 2.3
    x0 = chance.standard_normal(1_000_000) * math.sqrt(v)
    eps = chance.standard_normal(1_000_000)
    for sigma in (0.0, 0.3, 1.0, 14.6):
        abar = 1 / (1 + sigma**2)
        x = math.sqrt(abar) * x0 + math.sqrt(1 - abar) * eps
        assert analytic_rms(sigma, v) == pytest.approx(math.sqrt(np.mean(x**2)), rel=2e-3)
    figure = draw(RUNS, "latent_rms", focus=1)
    (curve,) = [trace for trace in figure.data if trace.line.dash == "dash"]
    v = RUNS[1].records[-1].x0_rms ** 2
    assert data_mean_square(RUNS[1]) == v
    assert list(curve.y) == [analytic_rms(record.sigma, v) for record in RUNS[1].records]
    assert not [t for t in draw(RUNS, "latent_rms", channel=2).data if t.line.dash == "dash"]
    figure = draw(RUNS, "latent_rms", focus=1, channel=2, channel_square=0.4)
    (curve,) = [trace for trace in figure.data if trace.line.dash == "dash"]
    assert list(curve.y) == [analytic_rms(record.sigma, 0.4) for record in RUNS[1].records]


def test_the_channels_are_of_the_run_in_view() -> None:
    found = lines(draw(RUNS, "channels", focus=1))
    assert {trace.meta["run"] for trace in found} == {1}
    assert len(found) == 8
    second = RUNS[1].records
    assert list(found[2].y) == [record.channel_std[1] for record in second]
    assert list(found[3].y) == [record.channel_mean[1] for record in second]
    one = lines(draw(RUNS, "latent_rms", channel=2))
    expected = [channel_rms(record, 2) for record in second]
    assert list(one[1].y) == expected
    mean, std = second[3].channel_mean[2], second[3].channel_std[2]
    assert expected[3] == pytest.approx(math.sqrt(mean**2 + std**2))
    assert channel_rms(second[0], 9) is None


def test_numbers_are_coloured_on_a_scale_at_their_distance() -> None:
    """ "Guidance 1 to 15: fifteen curves, coloured by guidance"."""
    runs = [step_run(str(scale), guidance_scale=float(scale)) for scale in range(1, 16)]
    found = colouring(runs)
    assert (found.field, found.title) == ("guidance_scale", "Guidance scale")
    assert (found.low, found.high) == (1.0, 15.0)
    assert len(set(found.colours)) == 15
    assert found.colours[0] == "rgb(61, 120, 184)"  # the low end of SCALE
    drawn = lines(draw(runs, "x0_rms"))
    assert [trace.line.color for trace in drawn] == list(found.colours)
    (bar,) = [trace for trace in draw(runs, "x0_rms").data if trace.marker.showscale]
    assert (bar.marker.cmin, bar.marker.cmax) == (1.0, 15.0)


def test_names_and_seeds_are_coloured_in_turn() -> None:
    runs = [step_run(str(seed), seed=seed) for seed in (900, 1, 2)]
    found = colouring(runs)
    assert found.low is None
    assert found.colours == LINE_COLOURS[:3]
    many = [step_run(str(seed), seed=seed) for seed in range(10)]
    assert colouring(many).dashes[7:9] == ("solid", "dash")


def test_one_colour_a_value_and_one_name_a_colour() -> None:
    """Two schedulers with two numbers of steps: coloured by either, named once each."""
    runs = [
        step_run(f"{name}{count}", scheduler=name, num_inference_steps=count)
        for name in ("DDIM", "Euler")
        for count in (10, 20)
    ]
    assert differing(runs) == ["scheduler", "num_inference_steps"]
    first = colouring(runs)
    assert first.field == "scheduler"
    assert first.colours[0] == first.colours[1] != first.colours[2]
    named = [trace.name for trace in lines(draw(runs, "x0_rms")) if trace.showlegend]
    assert named == ["DDIM", "Euler"]
    assert colouring(runs, "num_inference_steps").low == 10.0
    assert colouring(runs, "prompt").field == "scheduler", "what does not differ colours nothing"


def test_what_has_no_effect_tells_no_runs_apart() -> None:
    """A strength in text to image; it counts where one of the runs has a source."""
    assert differing([step_run("a", strength=0.5), step_run("b", strength=0.75, seed=2)]) == [
        "seed"
    ]
    source = {"init_image": "0" * 32, "strength": 0.5}
    assert "strength" in differing([step_run("a", **source), step_run("b", strength=0.75)])


def test_labels_tell_runs_apart() -> None:
    assert labels([RUNS[0]]) == ["a red apple · seed 0"]
    assert labels(RUNS) == ["Guidance scale 2", "Guidance scale 8"]
    same = [step_run("a"), step_run("b")]
    assert len(set(labels(same))) == 2
    tagged = [step_run("a", prompt="<b>bold</b>"), step_run("b", prompt="plain")]
    assert all("<b>" not in trace.name for trace in lines(draw(tagged, "x0_rms")))


@pytest.mark.parametrize("prompt", ["a yellow star", "a robot on a pink background"])
@pytest.mark.parametrize("name", ["DDIM", "Euler", "DPM++ 2M", "Heun", "PNDM"])
def test_norm_plots_show_what_diffusers_own_pipeline_holds(
    engine: Engine, name: str, prompt: str
) -> None:
    """The latents that the pipeline's callback reports, measured in float64 by a plain loop."""
    settings = GenerationSettings(
        prompt=prompt,
        width=64,
        height=64,
        seed=3,
        num_inference_steps=5,
        guidance_scale=4.0,
        scheduler=name,
    )
    trajectory = engine.generate([settings], strict=True)[0].trajectory
    assert trajectory is not None
    run = Run(digest="one", settings=settings, records=trajectory.records)
    pipe = engine.model.pipeline(name)
    generator = torch.Generator("cpu").manual_seed(3)
    noise = torch.randn(1, 4, 8, 8, generator=generator)
    held: list[np.ndarray] = []

    def keep(pipe: Any, index: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        held.append(values["latents"].double().numpy()[0])
        return values

    pipe(
        prompt=prompt,
        width=64,
        height=64,
        num_inference_steps=5,
        guidance_scale=4.0,
        latents=noise,
        generator=generator,
        output_type="latent",
        callback_on_step_end=keep,
    )
    before = [(noise * pipe.scheduler.init_noise_sigma).double().numpy()[0], *held[:-1]]
    assert len(before) == SCHEDULERS[name].calls(5)
    is_sigma_space = SCHEDULERS[name].sigma_space
    raw, rms, means = [], [], []
    for latents, record in zip(before, run.records, strict=True):
        raw.append(math.sqrt(float((latents**2).sum())))
        x = latents / math.sqrt(1 + record.sigma**2) if is_sigma_space else latents
        rms.append(math.sqrt(float((x**2).mean())))
        means.append(x[1].mean())
    colours = colouring([run])
    plots = {
        kind: lines(step_figure([run], kind, "step", colours))
        for kind in ("raw_norm", "latent_rms", "channels")
    }
    assert list(plots["raw_norm"][0].y) == pytest.approx(raw, rel=1e-4)
    assert list(plots["latent_rms"][0].y) == pytest.approx(rms, rel=1e-4)
    assert list(plots["channels"][3].y) == pytest.approx(means, abs=1e-4)


@pytest.mark.parametrize(
    "name", [field.name for field in fields(StepRecord) if field.default is None]
)
def test_a_quantity_that_was_not_recorded_is_a_gap_in_every_figure(name: str) -> None:
    whole = step_run(steps=4)
    bare = replace(whole, records=tuple(replace(r, **{name: None}) for r in whole.records))
    for figure in STEP_FIGURES:
        drawn = step_figure([bare, whole], figure, "step", colouring([bare, whole], "seed"))
        assert len(drawn.data) >= 1, figure
    step_figure([bare], "latent_rms", "step", colouring([bare], "seed"), channel=1)
    assert step_table([bare])[name].isna().all()


@pytest.mark.parametrize("name", ["channel_mean", "channel_std"])
def test_channels_that_were_not_recorded_are_gaps(name: str) -> None:
    whole = step_run(steps=4)
    bare = replace(whole, records=tuple(replace(r, **{name: ()}) for r in whole.records))
    step_figure([bare], "channels", "step", colouring([bare], "seed"))
    figure = step_figure([bare], "latent_rms", "step", colouring([bare], "seed"), channel=1)
    assert all(value is None for trace in figure.data for value in trace.y)
    assert step_table([bare])["run"].size == 4


def test_a_guided_run_whose_guidance_was_not_recorded_is_not_called_unguided() -> None:
    whole = step_run(steps=4)
    bare = replace(whole, records=tuple(replace(r, std_inflation=None) for r in whole.records))
    figure = step_figure([bare], "std_inflation", "step", colouring([bare], "seed"))
    (note,) = figure.layout.annotations
    assert note.text.replace("<br>", " ") == NOT_RECORDED


def test_a_line_marks_each_step_at_which_the_prompt_is_another(engine: Engine) -> None:
    settings = GenerationSettings(
        prompt="a [red:blue:2] apple [on|in] it",
        width=64,
        height=64,
        num_inference_steps=4,
        scheduler="Heun",
    )
    trajectory = engine.generate([settings])[0].trajectory
    assert trajectory is not None
    still = replace(settings, prompt="a red apple")
    for run_settings, places in ((settings, [3, 5, 7]), (still, [])):
        run = Run(digest="one", settings=run_settings, records=trajectory.records)
        figure = draw([run], "latent_rms")
        assert [shape.x0 for shape in figure.layout.shapes] == places
        assert len(figure.layout.annotations) == len(places)
