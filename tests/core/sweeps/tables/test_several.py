"""Several settings at once as a value of an axis: read, written, labelled, and judged."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from core.diffusion.recipe.setting import AxisError
from core.diffusion.recipe.settings_table import SETTINGS
from core.diffusion.settings import GenerationSettings
from core.output.texts.legend import legend
from core.sweeps.axis import SweepError, parse_axis
from core.sweeps.link import from_word, to_word
from core.sweeps.sweep import Sweep
from core.sweeps.tables.named_values import find_setting, read_setting
from core.sweeps.tables.several import format_several, parse_several
from core.sweeps.values import format_values, parse_values
from tests.core.sweeps.tables.test_table import a_row
from tests.core.sweeps.test_sweep import plan_of

BASE = GenerationSettings(prompt="a red apple", num_inference_steps=10)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("steps=10; seed=3", {"num_inference_steps": 10, "seed": 3}),
        ("num-inference-steps = 10.0;", {"num_inference_steps": 10}),
        ("Guidance Scale=7;STEPS=2", {"guidance_scale": 7.0, "num_inference_steps": 2}),
        ('prompt="a; b ""c""";seed=1', {"prompt": 'a; b "c"', "seed": 1}),
        (r'prompt="two\nlines \\ \d"', {"prompt": "two\nlines \\ \\d"}),
        ("prompt=a, b=c; exact steps=TRUE", {"prompt": "a, b=c", "exact_steps": True}),
        ('negative prompt=""; scheduler=euler A', {"negative_prompt": "", "scheduler": "Euler a"}),
        ("sigma schedule=Karras", {"sigma_schedule": "karras"}),
        ("", {}),
    ],
)
def test_settings_are_named_as_people_write_them(text: str, values: dict[str, object]) -> None:
    assert dict(parse_several(text)) == values


def test_every_setting_has_names_of_its_own() -> None:
    for row in SETTINGS.values():
        for name in (row.name, row.label, row.label.upper(), *row.earlier):
            assert find_setting(name) is row, name
    assert find_setting("step s") is None


def test_everything_wrong_with_a_value_is_said_at_once() -> None:
    with pytest.raises(AxisError) as caught:
        parse_several("stepps=3; steps=x; abc; seed=1; Seed=2; exact_steps=maybe; eta=1_0")
    assert str(caught.value).split("; ") == [
        "'stepps' is not a setting",
        "did you mean Steps?",
        "Steps: 'x' is not a whole number",
        "'abc' is not a setting and its value: steps=10",
        "Seed is given twice",
        "Exact steps: 'maybe' is neither true nor false",
        "Eta: '1_0' is not a number",
    ]


@pytest.mark.parametrize("text", ["1.5", "", "1e400", "9" * 41, "０"])
def test_what_is_no_whole_number(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        read_setting(SETTINGS["seed"], text)


@effort(max_examples=200, deadline=None)
@given(st.lists(a_row(), min_size=1, max_size=5, unique_by=format_several))
def test_what_is_written_is_read_back_also_within_a_list(rows: list[dict[str, object]]) -> None:
    written = [format_several(row) for row in rows]
    assert [dict(parse_several(text)) for text in written] == rows
    assert parse_values(format_values(written), str) == written


def test_labels_say_what_differs_and_the_legend_the_rest() -> None:
    axis = parse_axis("settings", "prompt=an owl; steps=5; seed=1, steps=5; seed=2, seed=2")
    values = ("steps=5; seed=1; eta=0.5", "steps=5; seed=2; eta=0.5")
    assert [axis.value_label(index) for index in range(3)] == [
        "Steps 5, Seed 1, Prompt an owl",
        "Steps 5, Seed 2",
        "Seed 2",
    ]
    same = replace(axis, values=values)
    assert [same.value_label(index) for index in range(2)] == ["Seed 1", "Seed 2"]
    assert same.whole_value(0) == "Steps 5, Seed 1, Eta 0.5"
    said = dict(legend(Sweep(base=replace(BASE, scheduler="DDIM"), x=same)))
    assert (said["Steps"], said["Eta"]) == ("5", "0.5")
    assert "Seed" not in said
    assert said["Prompt"] == "a red apple"
    one = parse_axis("settings", 'seed=4, ""')
    assert [one.value_label(index) for index in range(2)] == ["Seed 4", "Base settings"]


def test_cells_are_those_of_the_settings_and_nothing_else() -> None:
    sweep = Sweep(
        base=BASE,
        x=parse_axis("settings", '"prompt=an owl, sitting; steps=3", guidance scale=1'),
        y=parse_axis("prompt_search_replace", "a, the"),
        new_seed="row",
    )
    owl = replace(BASE, prompt="an owl, sitting", num_inference_steps=3)
    off = replace(BASE, guidance_scale=1.0)
    assert [cell.settings for cell in sweep.cells()] == [
        owl,
        off,
        replace(owl, prompt="then owl, sitting", seed=1),
        replace(off, prompt="the red thepple", seed=1),
    ]
    assert from_word(to_word(sweep)) == sweep
    assert Sweep.from_dict(sweep.to_dict()) == sweep


def reasons(sweep: Sweep) -> list[str]:
    return [str(problem) for problem in sweep.problems()]


def test_its_problems_name_the_setting() -> None:
    axis = parse_axis("settings", "steps=0; width=100, seed=-1, steps=1; eta=x, steps=0; seed=4")
    assert reasons(Sweep(base=BASE, x=axis)) == [
        "Settings: Steps 0, Width 100 and 1 more value: Steps: 0 is outside 1 to 1000",
        "Settings: Steps 0, Width 100: Width: 100 is not a multiple of 8 from 8 to 4096; the "
        "nearest is 96",
        "Settings: Seed -1: is a random seed, which no cell could be computed from again: list "
        "seeds, such as 1-4, or choose new seeds per column or row",
        "Settings: steps=1; eta=x: Eta: 'x' is not a number",
    ]
    assert not reasons(Sweep(base=replace(BASE, seed=-1), x=parse_axis("settings", "seed=1")))
    late = Sweep(
        base=BASE,
        x=parse_axis("settings", "snapshot=9; seed=5"),
        y=parse_axis("num_inference_steps", "20, 5"),
    )
    assert reasons(late) == [
        "snapshot: Settings Snapshot at step 9, Seed 5, Steps 5: 9 is outside 0 to 5, the UNet "
        "calls of 5 steps of DPM++ 2M"
    ]


def test_a_setting_is_set_by_one_axis_alone() -> None:
    axis = parse_axis("settings", "steps=3; seed=1; width=64, loras=ink")
    both = Sweep(base=BASE, x=axis, y=parse_axis("num_inference_steps", "1, 2"))
    assert reasons(both) == ["Settings: Steps is set by Steps too: leave it out of one"]
    size = Sweep(base=BASE, x=axis, y=parse_axis("size", "64x64"))
    assert reasons(size) == ["Settings: Width is set by Width x height too: leave it out of one"]
    seeds = Sweep(base=BASE, x=axis, new_seed="column")
    assert reasons(seeds) == ["Seed: is an axis already: switch the new seeds off"]
    with pytest.raises(SweepError, match="is not an axis"):
        parse_axis("setting", "steps=1")


def test_a_plan_describes_the_models_that_are_named() -> None:
    far = plan_of(Sweep(base=BASE, x=parse_axis("settings", "model=/no/where; seed=1, seed=2")))
    assert [problem.value for problem in far.problems] == ["/no/where"]
    other = plan_of(
        Sweep(base=replace(BASE, model="/no/where"), x=parse_axis("settings", "model=bundled"))
    )
    assert not other.problems
    same = plan_of(
        Sweep(base=BASE, x=parse_axis("settings", "seed=1; apg_eta=0.5, seed=1; apg_eta=0.7"))
    )
    assert same.merged == {1: 0}, "CFG has no eta of APG"
