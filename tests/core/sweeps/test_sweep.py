from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.diffusion.models.load import describe
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.settings import GenerationSettings, Problem
from core.output.texts.legend import legend
from core.sweeps.axes import AXES
from core.sweeps.axis import Axis, SweepError, parse_axis
from core.sweeps.pace import Pace
from core.sweeps.plan import Plan, make_plan
from core.sweeps.sweep import MAX_CELLS, Sweep
from tests.needs import NEEDS

BASE = GenerationSettings(prompt="a red apple", num_inference_steps=10)


def plan_of(sweep: Sweep, stored: Collection[str] = (), speed: float | None = None) -> Plan:
    return make_plan(
        sweep,
        describe=describe,
        holds=lambda digests: [digest for digest in digests if digest in stored],
        find_pace=(lambda *_: Pace(row_pixels_per_second=speed, is_like=True)) if speed else None,
    )


def reasons(sweep: Sweep) -> dict[str, str]:
    return {f"{p.axis}={p.value}": p.reason for p in sweep.problems()}


@pytest.mark.parametrize("name", AXES)
def test_every_axis_reads_its_examples_and_changes_the_image(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = AXES[name]
    axis = parse_axis(name, row.examples)
    base = replace(BASE, num_inference_steps=16, variation_strength=0.5)
    if name.startswith("negative_search_replace"):
        base = replace(base, negative_prompt="blue, flat style")
    monkeypatch.setenv("LIGHTBOX_MODELS", str(tmp_path))
    for lora in ("ink", "paper"):
        tensors = {f"{lora}.lora_A.weight": np.zeros(1, np.float32)}
        save_file(tensors, tmp_path / f"{lora}.safetensors")
    if name == "lora_weight":
        base = replace(base, loras="ink:0.7")
    base = replace(base, **NEEDS.get(row.field, {}))
    cells = Sweep(base=base, x=axis).cells()
    assert len(cells) == len(axis.values)
    digests = {cell.settings.digest(cell.settings.model) for cell in cells}
    assert len(digests) == len(cells), name
    for index, cell in enumerate(cells):
        assert axis.value_label(index)
        # No more than the row's own fields differ: width and height for a size.
        changed = {k for k, v in cell.settings.to_dict().items() if v != getattr(base, k)}
        assert changed <= set(row.changes(axis.values))


def test_two_terms_are_replaced_each_along_its_own_side() -> None:
    base = replace(BASE, prompt="a red apple on a blue table")
    sweep = Sweep(
        base=base,
        x=parse_axis("prompt_search_replace", "red, green"),
        y=parse_axis("prompt_search_replace_2", "blue, pink"),
    )
    assert [cell.settings.prompt for cell in sweep.cells()] == [
        "a red apple on a blue table",
        "a green apple on a blue table",
        "a red apple on a pink table",
        "a green apple on a pink table",
    ]
    assert dict(legend(sweep))["Prompt"] == "a … apple on a … table"
    turned = Sweep(base=base, x=sweep.y, y=sweep.x)
    assert turned.cells()[1].settings.prompt == "a red apple on a pink table"
    gone = Sweep(base=base, x=sweep.x, y=parse_axis("prompt_search_replace_2", "red, pink"))
    assert "not in the prompt" in gone.problems()[0].reason


def test_a_term_is_searched_for_in_the_negative_prompt_too() -> None:
    base = replace(BASE, negative_prompt="blurry, dark")
    axis = parse_axis("negative_search_replace", '"blurry", "noisy, grey"')
    cells = Sweep(base=base, x=axis).cells()
    assert [cell.settings.negative_prompt for cell in cells] == [
        "blurry, dark",
        "noisy, grey, dark",
    ]
    assert {cell.settings.prompt for cell in cells} == {BASE.prompt}
    (problem,) = Sweep(base=BASE, x=axis).problems()[:1]
    assert "'blurry', the term to search for, is not in the negative prompt" in problem.reason


def test_strength_varies_only_with_a_source() -> None:
    found = Sweep(base=BASE, x=parse_axis("strength", "0.5, 1")).problems()
    assert "Image to image page" in found[0].reason


def test_a_plan_counts_the_steps_that_image_to_image_really_runs() -> None:
    base = replace(BASE, init_image="5e" * 32, num_inference_steps=10, guidance_scale=3.0)
    made = plan_of(Sweep(base=base, x=parse_axis("strength", "0.05, 0.3, 0.39, 1")))
    assert made.merged == {2: 1}, "0.3 and 0.39 of 10 steps are both 3"
    assert made.unet_rows == 2 * (0 + 3 + 10)


def test_strengths_that_run_the_same_steps_are_one_image() -> None:
    base = replace(BASE, init_image="5e" * 32, num_inference_steps=30, guidance_scale=3.0)
    sweep = Sweep(
        base=base, x=parse_axis("strength", "0.50, 0.51, 0.54"), y=parse_axis("seed", "1, 2")
    )
    made = plan_of(sweep)
    assert made.merged == {1: 0, 4: 3}, "0.50 and 0.51 of 30 steps are both 15, 0.54 is 16"
    assert (made.distinct, made.unet_rows) == (4, 2 * 2 * (15 + 16))
    assert [one.strength for one in made.submission()] == [0.5, 0.54, 0.5, 0.54]
    exact = replace(sweep, base=replace(base, exact_steps=True))
    assert plan_of(exact).merged == {}, "their schedules differ, though both run 30 steps"


def test_cells_come_page_by_page_and_row_by_row() -> None:
    sweep = Sweep(
        base=BASE,
        x=parse_axis("guidance_scale", "1-3"),
        y=parse_axis("seed", "5, 6"),
        z=parse_axis("scheduler", "DDIM, Euler"),
    )
    cells = sweep.cells()
    assert (sweep.shape(), len(cells)) == ((3, 2, 2), 12)
    assert [(c.x, c.y, c.z) for c in cells[:4]] == [(0, 0, 0), (1, 0, 0), (2, 0, 0), (0, 1, 0)]
    assert cells[-1].settings == replace(BASE, guidance_scale=3.0, seed=6, scheduler="Euler")


def test_linked_axes_move_together() -> None:
    steps = parse_axis("num_inference_steps", "10, 20, 40", is_linked=True)
    guidance = parse_axis("guidance_scale", "4, 4, 8", is_linked=True)
    sweep = Sweep(base=BASE, x=replace(steps, linked=guidance))
    got = [(c.settings.num_inference_steps, c.settings.guidance_scale) for c in sweep.cells()]
    assert got == [(10, 4), (20, 4), (40, 8)]
    assert sweep.x is not None
    assert sweep.x.label() == "Steps with Guidance scale"
    assert sweep.x.value_label(2) == "40, 8"
    short = replace(steps, linked=parse_axis("guidance_scale", "4, 6"))
    assert "3 and 2 values cannot move together" in next(
        iter(reasons(Sweep(base=BASE, x=short)).values())
    )


def test_two_parameters_move_together_and_no_third() -> None:
    values = {"axis": "seed", "values": "1, 2"}
    for name in ("guidance_scale", "num_inference_steps"):
        values = {"axis": name, "values": "4, 8", "linked": values}
    with pytest.raises(SweepError, match="two parameters can move together, not more"):
        Sweep.from_dict({"x": values})


def test_a_whole_prompt_is_set_before_its_words_are_replaced() -> None:
    sweep = Sweep(
        base=BASE,
        x=parse_axis("prompt_search_replace", "apple, pear"),
        y=parse_axis("prompt", "a green apple, a big apple"),
    )
    prompts = [cell.settings.prompt for cell in sweep.cells()]
    assert prompts == ["a green apple", "a green pear", "a big apple", "a big pear"]


def test_new_seeds() -> None:
    axes = {
        "x": parse_axis("guidance_scale", "1-2"),
        "y": parse_axis("num_inference_steps", "4-6"),
    }
    base = replace(BASE, seed=2**32 - 1)
    by_row = Sweep(base=base, **axes, new_seed="row")
    assert [c.settings.seed for c in by_row.cells()] == [2**32 - 1, 2**32 - 1, 0, 0, 1, 1]
    assert {c.settings.seed for c in Sweep(base=base, **axes).cells()} == {base.seed}
    seeds = Sweep(base=base, x=parse_axis("seed", "1, 2"), new_seed="row")
    assert "is an axis already" in reasons(seeds)["Seed="]


def test_swapping_gives_the_same_images() -> None:
    sweep = Sweep(
        base=BASE,
        x=parse_axis("guidance_scale", "1-3"),
        y=parse_axis("scheduler", "DDIM, Euler"),
        new_seed="column",
    )
    swapped = sweep.swapped()
    assert swapped.shape() == (2, 3, 1)
    assert {c.settings for c in swapped.cells()} == {c.settings for c in sweep.cells()}
    assert swapped.swapped() == sweep


def test_every_problem_is_found_at_once_with_axis_value_and_reason() -> None:
    sweep = Sweep(
        base=replace(BASE, prompt="a pear", width=100),
        x=Axis(name="guidance_scale", values=(3.0, 200.0, -1.0)),
        y=Axis(name="prompt_search_replace", values=("apple", "plum")),
        z=Axis(name="scheduler", values=("DDIM", "Eulr")),
    )
    found = reasons(sweep)
    assert set(found) == {
        "width=",
        "Guidance scale=200",
        "Guidance scale=-1",
        "Prompt: search and replace=apple and 1 more value",
        "Scheduler=Eulr",
    }
    assert "did you mean 'Euler'" in found["Scheduler=Eulr"]
    assert "not in the prompt" in found["Prompt: search and replace=apple and 1 more value"]
    with pytest.raises(SweepError, match="outside 0 to 100"):
        sweep.cells()
    assert len(plan_of(sweep).problems) == 5
    assert plan_of(sweep).cells == ()


def test_what_only_shows_where_axes_meet() -> None:
    snapshots = Sweep(
        base=BASE,
        x=parse_axis("snapshot", "1, 6"),
        y=parse_axis("num_inference_steps", "5, 10"),
    )
    assert list(reasons(snapshots)) == ["snapshot=Snapshot at step 6, Steps 5"]


def test_one_cause_is_one_problem_however_many_cells_it_spoils() -> None:
    sweep = Sweep(base=BASE, x=parse_axis("snapshot", "30"), y=parse_axis("seed", "1-300"))
    (problem,) = plan_of(sweep).problems
    assert problem.value == "Snapshot at step 30, Seed 1 and 299 more cells"
    (problem,) = plan_of(Sweep(base=BASE, x=parse_axis("strength", "0-1 [50]"))).problems
    assert problem.value == "0 and 49 more values"
    assert "Image to image page" in problem.reason


def test_values_are_judged_beside_an_axis_that_is_unsound() -> None:
    sweep = Sweep(
        base=replace(BASE, width=100),
        x=parse_axis("seed", "1, 2"),
        y=parse_axis("seed", "-5"),
        z=Axis(
            name="guidance_scale", values=(500.0, 2.0), linked=Axis(name="snapshot", values=(1,))
        ),
    )
    assert set(reasons(sweep)) == {
        "Seed=",
        "Seed=-5",
        "width=",
        "Guidance scale with Snapshot at step=",
    }
    unknown = Sweep(base=BASE, x=Axis(name="sed", values=(1,)), y=parse_axis("seed", "-1, 3"))
    assert set(reasons(unknown)) == {"sed=", "Seed=-1"}


def test_the_largest_sweep_is_laid_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    validated: list[int] = []
    validate = GenerationSettings.validate

    def counted(self: GenerationSettings, **options: int) -> list[Problem]:
        validated.append(1)
        return validate(self, **options)

    monkeypatch.setattr(GenerationSettings, "validate", counted)
    sweep = Sweep(base=BASE, x=parse_axis("seed", "1-1000"), y=parse_axis("guidance_scale", "1-10"))
    plan = plan_of(sweep)
    assert len(plan.cells) == MAX_CELLS
    assert len(validated) == MAX_CELLS + 1000 + 10 + 1, "each cell, each value and the base"


def test_an_axis_twice_and_too_many_cells() -> None:
    guidance = parse_axis("guidance_scale", "1-3")
    assert "used 2 times" in reasons(Sweep(base=BASE, x=guidance, y=guidance))["Guidance scale="]
    many = Axis(name="seed", values=tuple(range(1000)))
    steps = Axis(name="num_inference_steps", values=tuple(range(1, 1001)))
    scale = Axis(name="guidance_scale", values=tuple(float(n) for n in range(1000)))
    huge = Sweep(base=BASE, x=many, y=steps, z=scale)
    assert f"more than {MAX_CELLS} cells" in reasons(huge)["Sweep="]
    assert "has no values" in reasons(Sweep(base=BASE, x=Axis(name="seed", values=())))["Seed="]
    assert "is not an axis" in reasons(Sweep(base=BASE, x=Axis(name="sed", values=(1,))))["sed="]


def test_a_sweep_survives_its_dict() -> None:
    steps = parse_axis("num_inference_steps", "10, 20", is_linked=True)
    sweep = Sweep(
        base=BASE,
        x=replace(steps, linked=parse_axis("guidance_scale", "4, 4", is_linked=True)),
        y=parse_axis("prompt", '"a, b", " c", ""'),
        new_seed="page",
    )
    assert Sweep.from_dict(sweep.to_dict()) == sweep


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"q": 1}, "q: no part of a sweep"),
        ({"x": {"axis": "seed"}}, 'must be a table with "axis" and "values"'),
        ({"x": {"axis": "sed", "values": "1"}}, "'sed' is not an axis"),
        ({"x": {"axis": "seed", "values": "1, b"}}, r"Seed: value 2 \('b'\)"),
        ({"x": {"axis": "seed", "values": [None]}}, "neither a number nor a text"),
        ({"x": {"axis": "seed", "values": "1", "link": 1}}, "link: no part of an axis"),
        ({"base": 3}, "must be a table of settings"),
    ],
)
def test_a_bad_dict_is_refused_in_words(values: dict, message: str) -> None:
    with pytest.raises(SweepError, match=message):
        Sweep.from_dict(values)


def test_the_plan_counts_what_is_still_to_do() -> None:
    sweep = Sweep(
        base=BASE,
        x=parse_axis("guidance_scale", "0.5, 1, 2, 3"),
        y=parse_axis("scheduler", "DDIM, Heun, PNDM"),
    )
    plan = plan_of(sweep, speed=128 * 128 * 100)
    # Guidance 0.5 and 1 are both "off": the same image by arithmetic.
    assert (len(plan.cells), plan.distinct) == (12, 9)
    assert plan.merged == {1: 0, 5: 4, 9: 8}
    calls = {"DDIM": 10, "Heun": 19, "PNDM": 11}
    expected = sum(n * (1 + 2 + 2) for n in calls.values())
    assert plan.unet_rows == expected
    assert plan.estimate is not None
    assert plan.estimate.seconds == pytest.approx(expected / 100)
    again = plan_of(sweep, stored=plan.digests[:4])
    assert (again.stored, again.to_compute) == (3, 6)
    assert again.unet_rows == expected - calls["DDIM"] * 5
    assert plan_of(sweep).estimate is None


def test_snapshots_cost_one_run() -> None:
    sweep = Sweep(
        base=BASE,
        x=parse_axis("snapshot", "1, 4, 8"),
        y=parse_axis("seed", "1, 2"),
    )
    assert plan_of(sweep).unet_rows == 2 * 8 * 2
    whole = Sweep(base=BASE, x=parse_axis("snapshot", "1, 4, 0"))
    assert plan_of(whole).unet_rows == 10 * 2


def test_extending_and_swapping_leave_the_old_cells_alone() -> None:
    sweep = Sweep(base=BASE, x=parse_axis("seed", "1-3"), y=parse_axis("guidance_scale", "2-4"))
    stored = plan_of(sweep).digests
    wider = replace(sweep, x=parse_axis("seed", "1-4"), y=parse_axis("guidance_scale", "2-5"))
    assert plan_of(wider, stored).to_compute == 7
    assert plan_of(sweep.swapped(), stored).to_compute == 0
    other = replace(sweep, base=replace(BASE, prompt="a red apples"))
    assert plan_of(other, stored).to_compute == 9


class Reads:
    """A tokenizer of a model that reads 100 characters."""

    def cut_off(self, prompt: str) -> str:
        return prompt[100:].strip()


def test_each_text_that_is_cut_is_said_once_where_it_acts() -> None:
    long = f"{'owl ' * 25}and a zebra"
    sweep = Sweep(
        base=replace(BASE, prompt=f"{long} of the base", negative_prompt=f"{long} and fog"),
        x=Axis(name="prompt", values=("an owl", long)),
        y=parse_axis("guidance_scale", "1, 5"),
        z=parse_axis("seed", "1, 2"),
    )

    def cut(sweep: Sweep) -> list[tuple[str, str]]:
        made = make_plan(sweep, describe=describe, holds=lambda _: (), read=lambda _: Reads())
        return [(one.axis, one.reason.split(": ")[-1]) for one in made.cut]

    assert cut(sweep) == [
        ("prompt", "and a zebra"),
        ("negative_prompt", "and a zebra and fog"),
    ], "the base prompt is in no cell"
    assert cut(replace(sweep, y=None, base=replace(sweep.base, guidance_scale=1.0))) == [
        ("prompt", "and a zebra")
    ]


def test_an_unknown_model_is_a_problem_of_the_plan() -> None:
    plan = plan_of(Sweep(base=BASE, x=parse_axis("model", "bundled, /no/where")))
    assert [(p.axis, p.value) for p in plan.problems] == [("Model", "/no/where")]


def test_all_schedulers_can_be_swept_by_name_in_any_case() -> None:
    sweep = Sweep(base=BASE, x=parse_axis("scheduler", ", ".join(SCHEDULERS).upper()))
    assert [cell.settings.scheduler for cell in sweep.cells()] == list(SCHEDULERS)


def test_an_axis_of_sizes_replaces_both_sides_of_the_base() -> None:
    sweep = Sweep(base=replace(BASE, width=100, height=100), x=parse_axis("size", "64x96"))
    assert [(c.settings.width, c.settings.height) for c in sweep.cells()] == [(64, 96)]


def test_snapshots_are_submitted_run_by_run() -> None:
    sweep = Sweep(base=BASE, x=parse_axis("seed", "1, 2"), y=parse_axis("snapshot", "1, 2"))
    order = [(s.seed, s.snapshot) for s in plan_of(sweep).submission()]
    assert order == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_random_seed_is_no_value_and_says_what_to_use() -> None:
    (reason,) = reasons(Sweep(base=BASE, x=parse_axis("seed", "-1, 3"))).values()
    assert "list seeds" in reason
