"""Prompts with choices and wildcards in a sweep: expanded along an axis, drawn in the base."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from core.diffusion.models.load import describe
from core.diffusion.recipe.prompt.marks import Marks
from core.diffusion.recipe.prompt.wildcards import Wildcards
from core.diffusion.recipe.rows.prompt import PROMPT_ROWS, SECOND_PROMPT_ROWS
from core.diffusion.settings import GenerationSettings, SettingsError
from core.output.texts.legend import legend
from core.sweeps.axes import AXES
from core.sweeps.axis import Axis, SweepError, parse_axis
from core.sweeps.drawn import as_typed, draw_batch, draw_prompts, said_of, words_of_picture
from core.sweeps.link import from_word, to_word
from core.sweeps.plan import Plan, make_plan
from core.sweeps.reading import axis_text, read_axis
from core.sweeps.sweep import Sweep
from core.sweeps.values import MAX_VALUES, ValuesError

BASE = GenerationSettings(prompt="a red apple", num_inference_steps=4)
TEXTS = [row.name for row in (*PROMPT_ROWS, *SECOND_PROMPT_ROWS) if row.is_prompt]
MARKED = [name for name, row in AXES.items() if row.has_marks]


@pytest.fixture
def wildcards(tmp_path: Path) -> Wildcards:
    (tmp_path / "animal.txt").write_text("owl\ncat\n{big|small} fox\n")
    (tmp_path / "many.txt").write_text("\n".join(f"word {n}" for n in range(MAX_VALUES)))
    return Wildcards(folder=tmp_path)


@pytest.fixture
def marks(wildcards: Wildcards) -> Marks:
    return Marks(wildcards.lines)


def plan_of(sweep: Sweep, wildcards: Wildcards | None = None) -> Plan:
    return make_plan(sweep, describe=describe, holds=lambda digests: (), wildcards=wildcards)


def prompts(plan: Plan) -> list[str]:
    return [cell.settings.prompt for cell in plan.cells]


# Along an axis


def test_the_axes_of_texts_read_marks_and_no_other() -> None:
    assert set(MARKED) == {
        "prompt",
        "prompt_search_replace",
        "prompt_search_replace_2",
        "negative_prompt",
        "negative_search_replace",
        "negative_search_replace_2",
    }


@pytest.mark.parametrize("name", MARKED)
def test_every_mark_is_one_value_an_option(name: str, marks: Marks) -> None:
    axis = parse_axis(name, "a {red|blue} __animal__, plain", marks=marks)
    animals = ("owl", "cat", "big fox", "small fox")
    assert axis.values == (*(f"a {c} {a}" for c in ("red", "blue") for a in animals), "plain")


def test_several_options_are_values_in_order_whatever_their_weights(marks: Marks) -> None:
    found = read_axis(AXES["prompt"], "a {2$$ and $$9::owl|cat|0::fox}, {1-2$$+$$a|b}", marks)
    pairs = permutations(("owl", "cat", "fox"), 2)
    assert found.values == (*(f"a {one} and {two}" for one, two in pairs), "a", "b", "a+b", "b+a")


def test_values_that_come_out_twice_are_dropped_and_said(marks: Marks) -> None:
    found = read_axis(AXES["prompt"], "{owl|cat}, an owl, {cat|owl}", marks)
    assert found.values == ("owl", "cat", "an owl")
    assert found.duplicates == ("cat", "owl")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("__many__, owl, {a|b}", ["beside 1000 others", "'owl'"]),
        ("owl, __many__", ["would be 1,000 values beside 1 others; an axis takes 1000"]),
        ("{1-$$__many__}", ["would be more than 1,000,000,000,000 values; an axis takes 1000"]),
        ("{2$$, $$a|b}", ["{2$$ has no end", "quotes keep the commas"]),
        ("__many__ {a|b}", ["would be 2,000 values; an axis takes 1000"]),
        (
            "__zebra__, {a|b",
            ["__zebra__ has no file: put one at", "{a|b has no end", "quotes keep the commas"],
        ),
    ],
)
def test_too_many_and_unread_marks_are_said_at_once(
    text: str, words: Sequence[str], marks: Marks
) -> None:
    with pytest.raises(ValuesError) as raised:
        read_axis(AXES["prompt"], text, marks)
    assert all(one in str(raised.value) for one in words), raised.value


@pytest.mark.parametrize(
    "text",
    [
        r"a {red|blue} \{owl\|cat\}, \__animal__",
        '"{2$$, $$a|2::b|c} d"',
        "{1-2$$ and $$__animal__}",
        '"{a, b|c}, d", __animal__',
        "{|x} y",
    ],
)
def test_values_are_kept_and_linked_as_they_were_expanded(text: str, marks: Marks) -> None:
    axis = parse_axis("prompt", text, marks=marks)
    sweep = Sweep(base=BASE, x=axis)
    assert len(axis.values) > 1
    assert Sweep.from_dict(json.loads(json.dumps(sweep.to_dict()))) == sweep
    assert from_word(to_word(sweep)) == sweep
    # In the form's box they are read with marks once more.
    assert read_axis(AXES["prompt"], axis_text(AXES["prompt"], axis.values), marks).values == (
        axis.values
    )


def test_search_and_replace_finds_a_mark_as_it_was_typed(wildcards: Wildcards) -> None:
    base = replace(BASE, prompt="a {red|red} __animal__ here")
    axis = parse_axis(
        "prompt_search_replace",
        r"\__animal__, robot, {big|small} owl",
        marks=Marks(wildcards.lines),
    )
    found = prompts(plan_of(Sweep(base=base, x=axis), wildcards))
    assert found[0] in {f"a red {one} here" for one in ("owl", "cat", "big fox", "small fox")}
    assert found[1:] == ["a red robot here", "a red big owl here", "a red small owl here"]


# Drawn by the seed


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_is_drawn_and_the_rest_stays(name: str, marks: Marks) -> None:
    typed = replace(BASE, **{"prompt_blend": 0.5, name: "a {red|blue} __animal__"})
    drawn = draw_prompts(typed, marks)
    text = getattr(drawn.settings, name)
    assert text == f"a {drawn.words[0]} {drawn.words[1]}"
    assert replace(typed, **{name: text}) == drawn.settings
    assert "{" not in text
    assert "__" not in text


def test_settings_without_marks_are_the_same_settings(marks: Marks) -> None:
    assert draw_prompts(BASE, marks).settings == BASE
    assert draw_prompts(BASE, marks).words == ()


def test_a_text_without_effect_is_drawn_and_not_told(marks: Marks) -> None:
    drawn = draw_prompts(replace(BASE, prompt_2="{a|b}", prompt_blend=0.0), marks)
    assert drawn.settings.prompt_2 in "ab"
    assert drawn.words == ()


def test_a_seed_axis_draws_for_each_cell_and_other_axes_do_not(wildcards: Wildcards) -> None:
    base = replace(BASE, prompt="an __animal__ {in snow|in rain}")
    sweep = Sweep(
        base=base, x=parse_axis("seed", "1-12"), y=parse_axis("guidance_scale", "2, 4, 6")
    )
    plan = plan_of(sweep, wildcards)
    by_seed = {
        seed: {c.settings.prompt for c in plan.cells if c.settings.seed == seed}
        for seed in range(1, 13)
    }
    assert all(len(found) == 1 for found in by_seed.values()), "one seed, one text"
    assert len(set.union(*by_seed.values())) > 3
    alone = [draw_prompts(replace(base, seed=s), Marks(wildcards.lines)) for s in range(1, 13)]
    assert [by_seed[s] for s in range(1, 13)] == [{one.settings.prompt} for one in alone]
    assert [cell.drawn for cell in plan.cells[:12]] == [one.words for one in alone]
    assert sweep.base.prompt == base.prompt
    assert dict(legend(sweep))["Prompt"] == base.prompt


def test_a_new_seed_a_column_draws_anew() -> None:
    sweep = Sweep(
        base=replace(BASE, prompt="{a|b|c|d|e|f}"),
        x=parse_axis("guidance_scale", "2-6"),
        new_seed="column",
    )
    assert len(set(prompts(plan_of(sweep)))) > 1


def test_search_and_replace_acts_on_what_was_typed() -> None:
    sweep = Sweep(
        base=replace(BASE, prompt="a {red|blue} apple"),
        x=parse_axis("prompt_search_replace", "red, green, pink"),
        y=parse_axis("seed", "1-8"),
    )
    for cell in plan_of(sweep).cells:
        first = ("red", "green", "pink")[cell.x]
        assert cell.settings.prompt in (f"a {first} apple", "a blue apple")


def test_equal_words_of_two_seeds_stay_two_pictures_and_of_one_seed_are_one() -> None:
    base = replace(BASE, prompt="{owl|owl}")
    plan = plan_of(Sweep(base=base, x=parse_axis("seed", "1, 2")))
    plain = plan_of(Sweep(base=replace(base, prompt="owl"), x=parse_axis("seed", "1, 2")))
    assert plan.digests == plain.digests, "a mark has no part in the digest"
    assert plan.distinct == 2


def test_what_cannot_be_drawn_is_one_problem_a_text(wildcards: Wildcards) -> None:
    base = replace(BASE, prompt="a __zebra__", negative_prompt="{a|b")
    plan = plan_of(Sweep(base=base, x=parse_axis("seed", "1-20")), wildcards)
    assert [(p.axis, p.value) for p in plan.problems] == [
        ("prompt", "a __zebra__"),
        ("negative_prompt", "{a|b"),
    ]
    assert str(wildcards.folder) in plan.problems[0].reason
    broken = Sweep(base=replace(base, width=7), x=parse_axis("seed", "1-20"))
    axes = [problem.axis for problem in plan_of(broken, wildcards).problems]
    assert axes == ["width", "prompt", "negative_prompt"], "with all else that is wrong"


def test_a_text_that_an_axis_replaces_is_no_problem(wildcards: Wildcards) -> None:
    base = replace(BASE, prompt="a __zebra__")
    assert not plan_of(Sweep(base=base, x=parse_axis("prompt", "owl, cat")), wildcards).problems


def test_a_drawn_text_that_is_too_long_is_said(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("word " * 3000)
    base = replace(BASE, prompt="__long__ __long__")
    (problem,) = plan_of(
        Sweep(base=base, x=parse_axis("seed", "1-3")), Wildcards(folder=tmp_path)
    ).problems
    assert "as it was drawn has 29,999 characters" in problem.reason


def test_a_batch_says_everything_that_is_wrong_at_once(marks: Marks) -> None:
    wrong = replace(BASE, prompt="__zebra__", negative_prompt="{a|b", num_inference_steps=0)
    batch = [replace(wrong, seed=seed) for seed in (1, 2)]
    with pytest.raises(SettingsError) as raised:
        draw_batch(batch, marks, vae_scale_factor=8)
    fields = [problem.field for problem in raised.value.problems]
    assert fields == ["prompt", "negative_prompt", "num_inference_steps"]


def test_a_picture_with_braces_in_its_prompt_comes_back_from_a_form(marks: Marks) -> None:
    made = replace(BASE, prompt="a {red|blue} __animal__", negative_prompt="{x}", seed=4)
    typed = as_typed(made)
    assert typed.prompt == r"a \{red|blue\} \__animal__"
    assert typed.negative_prompt == "{x}"
    assert draw_prompts(typed, marks).settings == made


def test_the_words_of_a_picture_are_told_only_of_what_made_it(marks: Marks) -> None:
    typed = replace(BASE, prompt="a {red|blue} owl", seed=-1)
    made = draw_prompts(replace(typed, seed=9), marks)
    assert words_of_picture(typed, made.settings, marks) == made.words != ()
    other = replace(typed, prompt="a {green|pink} owl")
    assert words_of_picture(other, made.settings, marks) == ()
    assert words_of_picture(replace(typed, prompt="__zebra__"), made.settings, marks) == ()


def test_what_was_drawn_is_said_once_and_briefly() -> None:
    base = replace(BASE, prompt="{a|b}")
    plan = plan_of(Sweep(base=base, x=parse_axis("seed", "1-30")))
    assert set(said_of(plan.cells).split(" · ")) == {"a", "b"}
    many = replace(BASE, prompt="{" + "|".join("abcdefghijklmnopqrstuvwxyz") + "}")
    words = said_of(plan_of(Sweep(base=many, x=parse_axis("seed", "1-200"))).cells)
    assert words.count(" · ") == 8
    assert words.endswith(" · and 18 more")


# The order of terms


def order(text: str) -> Axis:
    return parse_axis("prompt_order", text)


def test_an_order_has_every_order_of_its_terms() -> None:
    axis = order("red, apple, blue background")
    assert axis.values == tuple(permutations(("red", "apple", "blue background")))
    assert axis.value_label(1) == "red, blue background, apple"


def test_each_cell_has_the_terms_exchanged_in_their_places() -> None:
    base = replace(BASE, prompt="a (red:1.2) apple, on a table")
    found = prompts(plan_of(Sweep(base=base, x=order("red, apple, table"))))
    assert found == [
        "a (red:1.2) apple, on a table",
        "a (red:1.2) table, on a apple",
        "a (apple:1.2) red, on a table",
        "a (apple:1.2) table, on a red",
        "a (table:1.2) red, on a apple",
        "a (table:1.2) apple, on a red",
    ]


def test_a_term_inside_of_another_word_is_not_its_place() -> None:
    base = replace(BASE, prompt="a pineapple and an apple")
    found = prompts(plan_of(Sweep(base=base, x=order("pineapple, apple"))))
    assert found == ["a pineapple and an apple", "a apple and an pineapple"]


def test_orders_act_on_a_prompt_axis_and_before_words_are_replaced() -> None:
    sweep = Sweep(
        base=BASE,
        x=order("red, apple"),
        y=parse_axis("prompt_search_replace", "red, green"),
        z=parse_axis("prompt", '"a red apple", "apple, red"'),
    )
    assert prompts(plan_of(sweep)) == [
        *("a red apple", "a apple red", "a green apple", "a apple green"),
        *("red, apple", "apple, red", "green, apple", "apple, green"),
    ]


@pytest.mark.parametrize("text", ["red, apple", '"a, b", c, d', 'x, "say ""hi"""', "1, 2, 3, 4, 5"])
def test_orders_are_kept_and_linked_as_their_terms(text: str) -> None:
    axis = order(text)
    sweep = Sweep(base=BASE, x=axis)
    kept = sweep.to_dict()["x"]["values"]
    assert tuple(kept) == axis.values[0]
    assert Sweep.from_dict(json.loads(json.dumps(sweep.to_dict()))) == sweep
    assert from_word(to_word(sweep)) == sweep
    assert order(axis_text(AXES["prompt_order"], axis.values)) == axis


def test_orders_move_along_with_another_axis() -> None:
    seeds = parse_axis("seed", "1, 2", is_linked=True)
    linked = parse_axis("prompt_order", "red, apple", is_linked=True)
    sweep = Sweep(base=BASE, x=replace(seeds, linked=linked))
    assert prompts(plan_of(sweep)) == ["a red apple", "a apple red"]
    assert Sweep.from_dict(sweep.to_dict()) == sweep


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a, b, c, d, e, f", "6 terms have 720 orders: name up to 5, which have 120"),
        ("red", "one term has one order: name two to 5"),
        ("red, red", "one term has one order"),
        ('red, ""', "a term is empty"),
    ],
)
def test_terms_that_cannot_be_ordered_are_said(text: str, words: str) -> None:
    with pytest.raises(SweepError, match=words):
        order(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("red, zebra, owl", "'zebra' and 'owl' are not in the prompt"),
        ("red apple, apple", "'apple' overlaps with another term in the prompt"),
    ],
)
def test_terms_without_a_place_are_one_problem(text: str, words: str) -> None:
    (problem,) = plan_of(Sweep(base=BASE, x=order(text))).problems
    assert problem.axis == "Prompt order"
    assert words in problem.reason


def test_the_legend_shows_what_the_orders_share() -> None:
    sweep = Sweep(base=replace(BASE, prompt="a red apple here"), x=order("red, apple"))
    assert dict(legend(sweep))["Prompt"] == "a … … here"


def test_what_an_order_costs_is_said_before() -> None:
    about = AXES["prompt_order"].about()
    assert "Two to five terms" in about
    assert "five 120" in about
