"""Prompts that change between steps, held against the web UI's examples and a parser of lark's."""

from __future__ import annotations

import os
import random
from typing import Any

import lark
import pytest

from core.diffusion.recipe.prompt.editing import (
    changes,
    changes_of,
    parse_editing,
    texts_by_step,
    unread_bracket,
)

STEPS = 10
CASES = int(os.environ.get("LIGHTBOX_FUZZ", "2000"))
"""Random prompts; `make fuzz` has 20,000."""
PUBLISHED = {
    "test": [[10, "test"]],
    "a [b:3]": [[3, "a "], [10, "a b"]],
    "a [b: 3]": [[3, "a "], [10, "a b"]],
    "a [[[b]]:2]": [[2, "a "], [10, "a [[b]]"]],
    "[(a:2):3]": [[3, ""], [10, "(a:2)"]],
    "a [b : c : 1] d": [[1, "a b  d"], [10, "a  c  d"]],
    "a[b:[c:d:2]:1]e": [[1, "abe"], [2, "ace"], [10, "ade"]],
    "a [unbalanced": [[10, "a [unbalanced"]],
    "a [b:.5] c": [[5, "a  c"], [10, "a b c"]],
    "((a][:b:c [d:3]": [[3, "((a][:b:c "], [10, "((a][:b:c d"]],
    "[a|(b:1.1)]": [[step, "a" if step % 2 else "(b:1.1)"] for step in range(1, 11)],
    "[fe|]male": [[step, "female" if step % 2 else "male"] for step in range(1, 11)],
    "[fe|||]male": [[step, "female" if step % 4 == 1 else "male"] for step in range(1, 11)],
}
"""Of `modules/prompt_parser.py` at 10 steps, all but the one marked there as not handled."""

LANDSCAPE = (
    "fantasy landscape with a [mountain:lake:0.25] and [an oak:a christmas tree:0.75]"
    "[ in foreground::0.6][ in background:0.25] [shoddy:masterful:0.5]"
)


def schedule(prompt: str, steps: int = STEPS) -> list[list[Any]]:
    """Last step and text, as long as a text stays."""
    found: list[list[Any]] = []
    for step, text in enumerate(texts_by_step(prompt, steps), 1):
        if found and found[-1][1] == text:
            found.pop()
        found.append([step, text])
    return found


def last_of_each(published: list[list[Any]]) -> list[list[Any]]:
    return [
        one
        for one, following in zip(published, [*published[1:], [None, None]], strict=True)
        if one[1] != following[1]
    ]


@pytest.mark.parametrize("prompt", PUBLISHED)
def test_the_published_examples(prompt: str) -> None:
    assert schedule(prompt) == last_of_each(PUBLISHED[prompt])


def test_the_published_landscape() -> None:
    begin, end = "fantasy landscape with a ", " in background "
    assert schedule(LANDSCAPE, 100) == [
        [25, f"{begin}mountain and an oak in foreground shoddy"],
        [50, f"{begin}lake and an oak in foreground{end}shoddy"],
        [60, f"{begin}lake and an oak in foreground{end}masterful"],
        [75, f"{begin}lake and an oak{end}masterful"],
        [100, f"{begin}lake and a christmas tree{end}masterful"],
    ]


@pytest.mark.parametrize(
    ("when", "last"),
    [("3", 3), ("3.0", 10), (".3", 3), ("0", 0), ("-2", 0), ("30", 10), ("1e9", 10), ("1e999", 10),
     (".5e999", 10), ("0.99", 9), ("1.0", 10)],
)  # fmt: skip
def test_with_a_point_it_is_a_share_and_without_one_a_step(when: str, last: int) -> None:
    texts = texts_by_step(f"[a:b:{when}]", STEPS)
    assert texts == ("a",) * last + ("b",) * (STEPS - last)


@pytest.mark.parametrize(
    ("prompt", "place"),
    [
        ("a [b:c:", "[b:c:"),
        ("a [b:c:0.5", "[b:c:0.5"),
        ("a | b [c:d:0.5]", "a | b [c:d:0.5]"),
        ("[c:d:0.5]\\", "[c:d:0.5]\\"),
        ("a | b", ""),
        ("a [b] (c:1.2)", ""),
        ("[a:b:0.5] [c|d]", ""),
        ("16:9 [b", ""),
    ],
)
def test_a_mark_that_is_none_is_found(prompt: str, place: str) -> None:
    assert unread_bracket(prompt) == place


def test_every_change_is_found_with_those_inside_it() -> None:
    found = changes_of("[a:[b:c:0.5]:2] [d|[e::4]]")
    assert sorted(one.when for one in found) == ["0.5", "2", "4"]


def test_a_prompt_without_marks_is_one_text() -> None:
    for prompt in ("", "a (red:1.2) [apple], 16:9", "a | b", r"\[a:b:0.5\]"):
        assert parse_editing(prompt) == (prompt,)
        assert not changes(prompt)
        assert texts_by_step(prompt, 3) == (prompt,) * 3


def test_no_step_has_one_text_all_the_same() -> None:
    assert texts_by_step("[a:b:0.5]", 0) == ("b",)


@pytest.mark.parametrize(
    "prompt",
    ["[" * 500_000, "[" + "a:" * 9000 + "]", "[a:" * 6000, "[a|" * 3000 + "]" * 3000,
     "(" * 9000 + "[a:b:1]"],
    ids=lambda prompt: prompt[:4],
)  # fmt: skip
def test_thousands_of_brackets_are_read_in_no_time(prompt: str) -> None:
    texts_by_step(prompt, STEPS)
    unread_bracket(prompt)


GRAMMAR = r"""
start: (inside | LOOSE)*
inside: (group | change | turns | WORDS | SPACE)*
group: OPEN inside SHUT | OPEN inside COLON inside SHUT | LEFT inside RIGHT
change: "[" [inside ":"] inside ":" [SPACE] NUMBER [SPACE] "]"
turns: "[" inside ("|" inside)+ "]"
OPEN: "("
SHUT: ")"
LEFT: "["
RIGHT: "]"
COLON: ":"
LOOSE: /[\[\]():]/
SPACE: /\s+/
WORDS: /(?:[^\\\[\]():|]|\\.)+/
%import common.SIGNED_NUMBER -> NUMBER
"""


class AtStep(lark.visitors.Interpreter[Any, str]):
    """The text of a step of a tree of lark's."""

    def __init__(self, step: int, steps: int) -> None:
        self.step, self.steps = step, steps

    def _text(self, tree: Any) -> str:
        parts = (
            str(child) if isinstance(child, lark.Token) else self.visit(child)
            for child in tree.children
            if child is not None
        )
        return "".join(parts)

    start = inside = group = _text

    def change(self, tree: Any) -> str:
        before, after, _, number, _ = tree.children
        share = float(number) * self.steps if "." in number else float(number)
        side = before if self.step <= int(min(share, self.steps)) else after
        return "" if side is None else self.visit(side)

    def turns(self, tree: Any) -> str:
        return self.visit(tree.children[(self.step - 1) % len(tree.children)])


def drawn(random_: random.Random, depth: int = 0) -> str:
    """A prompt of marks, words and loose brackets, well formed or not."""
    kind = random_.random()
    if depth > 3 or kind < 0.35:
        return random_.choice(["a", "red cat", " ", "b, ", "", "0.5", r"\[", r"\)", "x|y", "3"])
    inner = [drawn(random_, depth + 1) for _ in range(3)]
    when = random_.choice(["0.5", "3", ".25", " 2", "1.0", "-1", "+4 ", "12", "x", "", "1e1"])
    return random_.choice(
        [
            f"[{inner[0]}:{inner[1]}:{when}]",
            f"[{inner[0]}:{when}]",
            f"[{inner[0]}::{when}]",
            f"[{inner[0]}|{inner[1]}]",
            f"[{inner[0]}|{inner[1]}|{inner[2]}]",
            f"({inner[0]}:1.2)",
            f"({inner[0]})",
            f"[{inner[0]}]",
            f"{inner[0]} {inner[1]}",
            f"{inner[0]}{random_.choice('[](): |')}{inner[1]}",
        ]
    )


@pytest.mark.parametrize("seed", range(4))
def test_random_prompts_are_read_as_by_an_earley_parser(seed: int) -> None:
    parser = lark.Lark(GRAMMAR, parser="earley")
    random_ = random.Random(seed)
    read: set[str] = set()
    while len(read) < CASES // 4:
        prompt = drawn(random_)[:36]
        if prompt in read or not prompt:
            continue
        read.add(prompt)
        try:
            tree = parser.parse(prompt)
        except lark.exceptions.LarkError:
            expected = (prompt,) * 4
        else:
            expected = tuple(AtStep(step, 4).visit(tree) for step in range(1, 5))
        assert texts_by_step(prompt, 4) == expected, prompt
    assert sum(map(changes, read)) > CASES // 20
