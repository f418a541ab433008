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
from core.diffusion.recipe.prompt.marks import MarkError, Marks
from core.diffusion.recipe.prompt.wildcards import Wildcards

LISTS: Mapping[str, Sequence[str]] = {
    "animal": ("owl", "cat", "a {red|blue} fox"),
    "place/cold": ("snow", "ice"),
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
    # Not marks: another tool's emphasis, a step's change, names with underscores.
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


@given(st.text(alphabet="ab{}|_\\ ", max_size=24))
def test_any_text_can_be_typed(text: str) -> None:
    """A picture's own prompt, put into a form, is drawn as itself."""
    typed = without_marks(text)
    marks = Marks(find)
    assert marks.draw(typed, seed=3, name="prompt").text == text
    assert marks.values(typed) == [typed]


@given(st.text(alphabet="ab{}|\\ ", max_size=24))
def test_what_was_expanded_reads_as_itself(text: str) -> None:
    """So values can be kept, linked and read again."""
    marks = Marks(find)
    if not marks.problems(text) and marks.count(text) < 200:
        for value in marks.values(text):
            assert marks.values(value) == [value]
            assert marks.draw(value, seed=1, name="prompt").words == ()


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
    "{2$$a|b|c}": ["{2$$a|b|c} takes several options at once"],
    "{1-2$$a|b}": ["takes several options at once"],
    "{0.3::a|b}": ["has weights"],
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
