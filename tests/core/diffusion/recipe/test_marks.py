"""Choices and wildcards: what a text stands for, what a seed draws, and what cannot be read."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.diffusion.recipe.limits import MAX_TEXT
from core.diffusion.recipe.prompt.choices import plain_words, without_marks
from core.diffusion.recipe.prompt.marks import MANY, MarkError, Marks
from core.diffusion.recipe.prompt.wildcards import Wildcards

LISTS: Mapping[str, Sequence[str]] = {
    "animal": ("owl", "cat", "a {red|blue} fox"),
    "place/cold": ("snow", "ice"),
    "double": ("a", "b", "a"),
    "one": ("__two__ and __two__",),
    "two": ("__animal__",),
    "itself": ("an __itself__",),
    "here": ("__there__",),
    "there": ("a {big|__here__} owl",),
    "chain_0": ("owl",),
    **{f"chain_{n}": (f"__chain_{n - 1}__",) for n in range(1, 12)},
}


def find(name: str) -> Sequence[str]:
    if name not in LISTS:
        raise MarkError(f"__{name}__ has no file")
    return LISTS[name]


@pytest.fixture
def marks() -> Marks:
    return Marks(find)


VALUES = {
    "a red apple": ["a red apple"],
    "a {red|blue} apple": ["a red apple", "a blue apple"],
    "{a|b} {c|d}": ["a c", "a d", "b c", "b d"],
    "{snow|{rain|fog} at {dawn|night}}": [
        "snow",
        "rain at dawn",
        "rain at night",
        "fog at dawn",
        "fog at night",
    ],
    "an __animal__": ["an owl", "an cat", "an a red fox", "an a blue fox"],
    "in __place/cold__": ["in snow", "in ice"],
    "{|big }owl": ["owl", "big owl"],
    # Several at once: the order is that of sd-dynamic-prompts' combinatorial generation.
    "{2$$a|b|c}": ["a, b", "a, c", "b, a", "b, c", "c, a", "c, b"],
    "{1-2$$ and $$a|b}": ["a", "b", "a and b", "b and a"],
    "{2-1$$ and $$a|b}": ["a", "b", "a and b", "b and a"],
    "{-2$$+$$a|b}": ["a", "b", "a+b", "b+a"],
    "{1-$$+$$a|b}": ["a", "b", "a+b", "b+a"],
    "{0-1$$a|b}!": ["!", "a!", "b!"],
    "{9$$$$a|b}": ["ab", "ba"],
    "{2$$|$$a|b}": ["a|b", "b|a"],
    "{2$$ __x__ $$a|b}": [r"a \__x__ b", r"b \__x__ a"],
    "{2$${a|b}|c}": ["a, c", "b, c", "c, a", "c, b"],
    "{2$$__place/cold__}": ["snow, ice", "ice, snow"],
    "{2$$ __place/cold__|fog}": [" snow, fog", " ice, fog", "fog,  snow", "fog,  ice"],
    "{2$$__double__}": ["a, b", "b, a"],
    "{3::a|b} {2$$.5::c|d}": ["a c, d", "a d, c", "b c, d", "b d, c"],
    "{2::__place/cold__|fog}": ["snow", "ice", "fog"],
    # Not marks: a number before no choice, another tool's emphasis, a step's change, names with
    # underscores.
    "{2$$owl}": ["{2$$owl}"],
    "{2$$ __place/cold__ $$owl}": ["{2$$ snow $$owl}", "{2$$ ice $$owl}"],
    "2$$a 3::b": ["2$$a 3::b"],
    "{{best}} {owl}": ["{{best}} {owl}"],
    "[a|b] c|d": ["[a|b] c|d"],
    "{red|[blue|green]} owl": ["red owl", "[blue|green] owl"],
    "[{red|blue}:green:0.5]": ["[red:green:0.5]", "[blue:green:0.5]"],
    r"{a \[x|b} c": [r"a \[x c", "b c"],
    "snake_case__a __ b": ["snake_case__a __ b"],
    "a } b {": ["a } b {"],
}


@pytest.mark.parametrize("text", VALUES)
def test_a_text_stands_for_its_values_in_order(text: str, marks: Marks) -> None:
    assert marks.values(text) == VALUES[text]
    assert marks.count(text) == len(VALUES[text])


READ = {
    r"\{a|b\}": "{a|b}",
    r"\__animal__": "__animal__",
    r"\\\{a|b\}": r"\{a|b}",
    r"c:\dir \(x\)": r"c:\dir \(x\)",
}


@pytest.mark.parametrize("text", READ)
def test_a_backslash_makes_a_mark_text(text: str, marks: Marks) -> None:
    drawn = marks.draw(text, seed=1, name="prompt")
    assert (drawn.text, drawn.words) == (READ[text], ())
    assert plain_words(text) == READ[text]


def test_a_pair_of_backslashes_is_one_and_the_choice_stays(marks: Marks) -> None:
    assert marks.draw(r"\\{a|a}", seed=1, name="prompt").text == r"\a"


@given(st.text(alphabet="ab{}|_\\ $2-:", max_size=24))
def test_any_text_can_be_typed(text: str) -> None:
    """A picture's own prompt, put into a form, is drawn as itself."""
    typed = without_marks(text)
    marks = Marks(find)
    assert marks.draw(typed, seed=3, name="prompt").text == text
    assert marks.values(typed) == [typed]


@given(st.text(alphabet="ab{}|\\ $2-:", max_size=24))
def test_what_was_expanded_reads_as_itself(text: str) -> None:
    """So values can be kept, linked and read again."""
    marks = Marks(find)
    if not marks.problems(text) and marks.count(text) < 200:
        for value in marks.values(text):
            assert marks.values(value) == [value]
            assert marks.draw(value, seed=1, name="prompt").words == ()


Written = str | tuple[tuple[int, int, str] | None, tuple["Written", ...]]
"""A word, or a choice: how many of its options are taken and by what they are joined, and they."""

WORDS = st.sampled_from(["a", "b", "c d", ""])


def choices_of(inner: st.SearchStrategy[Written]) -> st.SearchStrategy[Written]:
    counts = st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([", ", " and ", "|"]))
    return st.tuples(st.none() | counts, st.lists(inner, min_size=2, max_size=3).map(tuple))


CHOICES = choices_of(st.recursive(WORDS, choices_of, max_leaves=4))


def written(part: Written) -> str:
    if isinstance(part, str):
        return part
    several, options = part
    head = "" if several is None else f"{several[0]}-{several[1]}$${several[2]}$$"
    return "{" + head + "|".join(written(option) for option in options) + "}"


def enumerated(part: Written) -> list[str]:
    """Each value by brute force: every sequence of places that names none twice, by its length and
    then by its places, with every value of each.
    """
    if isinstance(part, str):
        return [part]
    several, options = part
    if several is None:
        return [value for option in options for value in enumerated(option)]
    least, most = min(several[:2]), max(several[:2])
    found: list[str] = []
    for length in range(len(options) + 1):
        if not min(least, len(options)) <= length <= most:
            continue
        for places in product(range(len(options)), repeat=length):
            if len(set(places)) == length:
                values = product(*(enumerated(options[place]) for place in places))
                found += [several[2].join(texts) for texts in values]
    return found


@given(CHOICES, CHOICES)
def test_several_options_are_every_selection_in_every_order(one: Written, two: Written) -> None:
    text = f"{written(one)} in {written(two)}"
    marks = Marks(find)
    expected = [f"{a} in {b}" for a in enumerated(one) for b in enumerated(two)]
    assert marks.count(text) == len(expected)
    if len(expected) < 2000:
        assert marks.values(text) == expected


@given(CHOICES, st.integers(0, 200))
def test_what_is_drawn_is_one_of_the_values(one: Written, seed: int) -> None:
    text = written(one)
    assert Marks(find).draw(text, seed=seed, name="prompt").text in enumerated(one)


def test_several_are_drawn_by_weights_out_of_those_that_are_left() -> None:
    """An independent loop: one number for how many, and one for each."""
    text = "{1-3$$ and $$3::a|b|0::c|0.5::d} {e|f}"
    marks = Marks(find)
    for seed in range(200):
        numbers = random.Random(f"prompt:{seed}")
        left = {"a": 3.0, "b": 1.0, "d": 0.5}
        taken: list[str] = []
        for _ in range(1 + int(numbers.random() * 3)):
            share = numbers.random() * sum(left.values())
            options = iter(left)
            option = next(options)
            while share >= left[option]:
                share -= left[option]
                option = next(options)
            taken.append(option)
            del left[option]
        last = "ef"[int(numbers.random() * 2)]
        drawn = marks.draw(text, seed=seed, name="prompt")
        assert drawn.words == (" and ".join(taken), last), seed


def test_an_option_is_drawn_as_often_as_its_weight_says(marks: Marks) -> None:
    seeds = range(4000)
    counts = Counter(marks.draw("{6::a|b|0::c|.5::d|d}", seed=s, name="prompt").text for s in seeds)
    shares = {"a": 6 / 8.5, "b": 1 / 8.5, "d": 1.5 / 8.5}
    assert set(counts) == set(shares)
    for option, share in shares.items():
        deviation = (len(seeds) * share * (1 - share)) ** 0.5
        assert abs(counts[option] - len(seeds) * share) < 4 * deviation, option


def test_weights_that_are_alike_draw_as_none_does(marks: Marks) -> None:
    for seed in range(100):
        drawn = {
            marks.draw(text, seed=seed, name="prompt").text
            for text in ("{a|b|c} {d|e}", "{2::a|2::b|2::c} {d|e}", "{1$$a|b|c} {1-1$$d|1::e}")
        }
        assert len(drawn) == 1, drawn


def test_lines_of_a_wildcard_are_drawn_without_repeats(marks: Marks) -> None:
    drawn = {marks.draw("{2$$+$$__double__}", seed=s, name="prompt").text for s in range(40)}
    assert drawn == {"a+b", "b+a"}


def test_what_was_drawn_before_there_were_several_is_drawn_still() -> None:
    """Texts and the words that earlier versions drew for them."""
    marks = Marks(find)
    drawn = [marks.draw("{a|b|c} __animal__ {x|{y|z}}", seed=s, name="prompt") for s in range(5)]
    assert [one.text for one in drawn] == [
        "c a blue fox x",
        "c owl x",
        "b cat x",
        "a a blue fox x",
        "c a red fox x",
    ]


def test_a_huge_number_of_selections_is_counted_and_not_built() -> None:
    marks = Marks(lambda name: [f"word {place}" for place in range(100_000)])
    assert marks.count("{2$$__w__}") == 100_000 * 99_999
    assert marks.count("{1-2$$__w__} {a|b}") == 2 * 100_000 * 100_000
    for text in ("{1-$$__w__}", "{3$$__w__}", "{5-$$" + "|".join("abcdefghi" * 900) + "}"):
        assert marks.count(text) > MANY


def test_a_draw_is_one_random_number_a_mark_in_the_order_of_reading(marks: Marks) -> None:
    """An independent loop over Python's own generator, which it promises to keep."""
    text = "{a|b|c} __place/cold__ {x|y {1|2|3}}"
    for seed in range(40):
        numbers = random.Random(f"prompt:{seed}")

        def pick(
            options: Sequence[str],
            numbers: random.Random = numbers,
        ) -> str:
            return options[int(numbers.random() * len(options))]

        first, second, third = pick("abc"), pick(("snow", "ice")), pick(("x", "y"))
        if third == "y":
            third = f"y {pick('123')}"
        drawn = marks.draw(text, seed=seed, name="prompt")
        assert drawn.text == f"{first} {second} {third}"
        assert drawn.words == (first, second, third)


def test_the_draw_of_a_seed_is_the_same_on_every_machine() -> None:
    """Words that were drawn once: another hash seed, or another order of tables, changes none."""
    program = (
        "from core.diffusion.recipe.prompt.marks import Marks\n"
        "m = Marks(lambda name: ['owl', 'cat', 'fox', 'pig'])\n"
        "print([m.draw('{a|b|c|d} __x__', seed=s, name='prompt').text for s in range(6)])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            cwd=Path(__file__).resolve().parents[4],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert said == {"['c pig', 'c owl', 'b fox', 'a pig', 'd pig', 'b pig']\n"}


def test_every_option_is_drawn_about_as_often(marks: Marks) -> None:
    counts = Counter(marks.draw("{a|b|c|d}", seed=s, name="prompt").text for s in range(4000))
    deviation = (4000 * 0.25 * 0.75) ** 0.5
    assert set(counts) == set("abcd")
    assert max(abs(count - 1000) for count in counts.values()) < 4 * deviation


def test_texts_of_one_seed_are_drawn_apart(marks: Marks) -> None:
    drawn = [
        tuple(marks.draw("{a|b|c|d}", seed=s, name=n).text for n in ("prompt", "negative_prompt"))
        for s in range(400)
    ]
    assert set(drawn) == set(product("abcd", repeat=2))


PROBLEMS = {
    "a {red|blue": ["{red|blue has no end", r"write \{"],
    "{a|b} __zebra__ {c|d": ["{c|d has no end", "__zebra__ has no file"],
    "__itself__": ["names itself: __itself__ > __itself__"],
    "__here__": ["names itself: __here__ > __there__ > __here__"],
    "__chain_10__": ["more than 10 deep"],
    "{2$$a|__zebra__}": ["__zebra__ has no file"],
    "{2$$__zebra__}": ["__zebra__ has no file"],
    "{2$$a|b": ["{2$$a|b has no end"],
    "{2$$": ["{2$$ has no end", r"write \{"],
    "{0::a|0.0::b}": ["the weights of {0::a|0.0::b} are all 0"],
    "{1234567890::a|b}": ["{1234567890::a|b} has a number of more than 9 digits"],
    "{1-1234567890$$a|b}": ["a number of more than 9 digits"],
    "{" * 11 + "a|b" + "|b}" * 11: ["choices stand more than 10 deep"],
}


@pytest.mark.parametrize("text", PROBLEMS)
def test_everything_that_cannot_be_read_is_said(text: str, marks: Marks) -> None:
    found = marks.problems(text)
    assert all(words in "; ".join(found) for words in PROBLEMS[text]), found
    for read in (marks.count, marks.values):
        with pytest.raises(MarkError, match=re.escape(found[0])):
            read(text)
    with pytest.raises(MarkError, match=re.escape(found[0])):
        marks.draw(text, seed=1, name="prompt")


def test_ten_wildcards_deep_are_read(marks: Marks) -> None:
    assert marks.values("__chain_9__") == ["owl"]
    assert marks.problems("__chain_10__")
    assert marks.values("__chain_9__") == ["owl"], "whatever was asked before"


def test_a_huge_product_is_counted_and_not_built(marks: Marks) -> None:
    assert marks.count("{a|b}" * 400) == 2**400


def test_a_text_that_grows_without_end_is_refused() -> None:
    lists = {f"w{n}": [f"__w{n - 1}__" * 9] for n in range(1, 9)} | {"w0": ["owl"]}
    marks = Marks(lists.__getitem__)
    with pytest.raises(MarkError, match=f"{MAX_TEXT:,} characters|choices to draw"):
        marks.draw("__w8__", seed=1, name="prompt")
    with pytest.raises(MarkError, match=f"{MAX_TEXT:,} characters"):
        marks.values("__w8__")


def test_a_wildcard_is_looked_up_once() -> None:
    asked: list[str] = []

    def look(name: str) -> list[str]:
        asked.append(name)
        return ["owl", "cat"]

    marks = Marks(look)
    for seed in range(5):
        marks.draw("__a__ __b__ __a__", seed=seed, name="prompt")
    assert sorted(asked) == ["a", "b"]
    assert marks.lines == {"a": ("owl", "cat"), "b": ("owl", "cat")}


# The folder


def put(folder: Path, name: str, text: str | bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def test_a_file_is_its_lines_without_blanks_and_comments(tmp_path: Path) -> None:
    put(tmp_path, "animal.txt", "\ufeff# mine\r\nowl\r\n\r\n  a red cat \r\n#fox\n\u00fc|x")
    put(tmp_path, "place/cold.txt", "snow")
    wildcards = Wildcards(folder=tmp_path)
    assert wildcards.lines("animal") == ("owl", "a red cat", "\u00fc|x")
    assert wildcards.lines("place/cold") == ("snow",)
    assert wildcards.names() == [("animal", 3), ("place/cold", 1)]
    assert Wildcards(folder=tmp_path / "none").names() == []


def test_a_file_that_cannot_be_used_is_said_with_its_place(tmp_path: Path) -> None:
    put(tmp_path, "empty.txt", "\n# nothing\n")
    put(tmp_path, "bytes.txt", b"\xff\xfe\x00")
    put(tmp_path, "large.txt", b"owl\n" * 1_000_001)
    wildcards = Wildcards(folder=tmp_path)
    for name, words in {
        "zebra": "put one at ",
        "empty": "is empty",
        "bytes": "is not UTF-8",
        "large": "is larger than 4 MB",
        "a/../../secret": "is no name of a file",
        "/etc/passwd": "is no name of a file",
        "\u00e9" * 200: "has no file",
    }.items():
        with pytest.raises(MarkError, match=words):
            wildcards.lines(name)
    with pytest.raises(MarkError, match=re.escape(str(tmp_path))):
        Wildcards(folder=tmp_path).lines("zebra")


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    wildcards = Wildcards(folder=tmp_path)
    for text, lines in (("owl", 1), ("owl\ncat", 2), ("fox\npig\ncat\n", 3)):
        put(tmp_path, "animal.txt", text)
        assert wildcards.lines("animal") == tuple(text.split())
        assert wildcards.names() == [("animal", lines)]


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    put(tmp_path, "secret.txt", "hidden")
    (tmp_path / "wildcards").mkdir()
    marks = Marks(Wildcards(folder=tmp_path / "wildcards").lines)
    for text in ("__../secret__", "__a/../../secret__", f"__{tmp_path}/secret__"):
        assert "hidden" not in str(marks.problems(text) or marks.values(text))
