import re
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sweeps.values import (
    MAX_VALUES,
    ValuesError,
    format_values,
    parse_values,
    read_values,
    value_hints,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7.5", [7.5]),
        ("1-5", [1, 2, 3, 4, 5]),
        ("5-1", [5, 4, 3, 2, 1]),
        ("1-10 (+3)", [1, 4, 7, 10]),
        ("1-2 (+0.3)", [1.0, 1.3, 1.6, 1.9]),
        ("10-1 (-3)", [10, 7, 4, 1]),
        ("0-1 [5]", [0, 0.25, 0.5, 0.75, 1]),
        ("1, 2, .., 10", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ("1, 3, ..., 8", [1, 3, 5, 7]),
        ("3, 2.5, .., 1", [3, 2.5, 2, 1.5, 1]),
        ("7, 1-3, 0-1 [3],", [7, 1, 2, 3, 0, 0.5]),
        ("-2--1 (+0.5)", [-2, -1.5, -1]),
        ("-1-1", [-1, 0, 1]),
        ("1--1", [1, 0, -1]),
        ("+1-+3", [1, 2, 3]),
        ("1-3(1)", [1, 2, 3]),
        (".5, 1., 1e1", [0.5, 1, 10]),
        ("3-3", [3]),
        ('"7.5"', [7.5]),
        (" 1 ,\n2 ", [1, 2]),
        ("1, 1, 2, 1.0", [1, 2]),
    ],
)
def test_the_syntax(text: str, expected: list[float]) -> None:
    found = parse_values(text, kind=float)
    assert found == expected
    assert {type(value) for value in found} == {float}


def test_kinds() -> None:
    assert parse_values("1-3", kind=int) == [1, 2, 3]
    assert {type(v) for v in parse_values("1-3, 2.0", kind=int)} == {int}
    assert parse_values("Euler a, DDIM ,", kind=str) == ["Euler a", "DDIM"]
    assert parse_values('"a, b", don\'t, "say ""hi""", "", rockin\'', kind=str) == [
        "a, b",
        "don't",
        'say "hi"',
        "",
        "rockin'",
    ]
    assert parse_values("1-5, ..", kind=str) == ["1-5", ".."]


def test_an_apostrophe_opens_no_quote() -> None:
    text = "'80s neon, disco, rockin', jazz"
    assert parse_values(text, kind=str) == ["'80s neon", "disco", "rockin'", "jazz"]


@pytest.mark.parametrize(
    ("text", "kind", "word"),
    [
        ("1，2，3", float, "plain comma"),
        ("“a”, b", str, "straight"),
        ("1–5", int, "hyphen"),
        ("a\nb", str, "line ends"),
        ("cat||dog", str, "||"),
        ('"a, b', str, "never closes"),
        ("'a, b'", str, "double ones"),
    ],
)
def test_what_was_meant_otherwise_gets_a_hint(text: str, kind: Any, word: str) -> None:
    (hint,) = value_hints(text, kind)
    assert word in hint
    if kind is not str:
        with pytest.raises(ValuesError, match=re.escape(hint)):
            parse_values(text, kind)


def test_plain_lists_get_no_hint() -> None:
    for text in ("1, 2", "1-5", "-1-1 [3]"):
        assert value_hints(text, float) == []
    for text in ('"a, b", c', "don't, a – b", 'say "hi", x'):
        assert value_hints(text, str) == []


def test_dropped_duplicates_are_said() -> None:
    found = read_values("1, 2, 1-3", kind=int)
    assert (found.values, found.duplicates) == ((1, 2, 3), (1, 2))


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", [0]),
        (" , ", [0, 1][:1]),
        ("one", [1]),
        ("1, two, 3, 4-x", [2, 4]),
        ("1-5 (0)", [1]),
        ("1-5 (-1)", [1]),
        ("5-1 (+1)", [1]),
        ("0-1 [1]", [1]),
        ("0-1 [2.5]", [1]),
        ("1,,2", [2]),
        (".., 5", [1]),
        ("1, .., 5", [2]),
        ("1, 2, ..", [3]),
        ("1, 2, .., x", [3]),
        ("1, 2, .., 0", [3]),
        ("1, 1, .., 5", [3]),
        ("nan", [1]),
        ("inf", [1]),
        ("1-1000000000", [1]),
        ("0-1 [1000000000000]", [1]),
        ("0-1 (+0.000000001)", [1]),
        ("1, 2, .., 1000000000", [3]),
        ("9" * 400, [1]),
        ("1-600, 601-1200", [2]),
        ('"1', [1]),
    ],
)
def test_every_bad_value_is_reported_with_its_place(text: str, places: list[int]) -> None:
    with pytest.raises(ValuesError) as caught:
        parse_values(text, kind=float)
    assert [problem.place for problem in caught.value.problems] == places
    assert all(problem.reason for problem in caught.value.problems)


@pytest.mark.parametrize("text", ["1.5", "0-1 [3]", "1-2 (+0.5)"])
def test_whole_numbers_are_asked_for_where_they_must_be(text: str) -> None:
    with pytest.raises(ValuesError, match="whole number"):
        parse_values(text, kind=int)


decimals = st.decimals(-1000, 1000, places=3)


@given(decimals, decimals, st.decimals("0.05", 100, places=2))
def test_ranges_are_exact_ordered_and_never_past_the_end(
    start: Decimal, end: Decimal, step: Decimal
) -> None:
    signed = step if end >= start else -step
    try:
        values = parse_values(f"{start}-{end} ({signed:+})", kind=float)
    except ValuesError:
        assert abs(end - start) / step >= MAX_VALUES
        return
    assert values[0] == float(start)
    assert values == sorted(values, reverse=end < start)
    assert all(min(start, end) <= Decimal(repr(v)) <= max(start, end) for v in values)
    assert values == [float(start + signed * i) for i in range(len(values))]
    assert abs(end - Decimal(repr(values[-1]))) < step


@given(decimals, decimals, st.integers(2, 50))
def test_even_parts_hold_both_ends(start: Decimal, end: Decimal, count: int) -> None:
    values = parse_values(f"{start}-{end} [{count}]", kind=float)
    assert (values[0], values[-1]) == (float(start), float(end))
    assert len(values) == (1 if start == end else count)


@given(st.lists(st.text(max_size=20), min_size=1, unique=True))
def test_texts_survive_being_written_and_read(values: list[str]) -> None:
    assert parse_values(format_values(values), kind=str) == values


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, unique=True))
def test_numbers_survive_being_written_and_read(values: list[float]) -> None:
    rounded = list(dict.fromkeys(round(value, 6) for value in values))
    assert parse_values(format_values(rounded), kind=float) == rounded


def test_a_tiny_number_survives_being_written_and_read() -> None:
    assert parse_values(format_values([1e-30, 0.5]), kind=float) == [1e-30, 0.5]


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for kind in (int, float, str):
        with suppress(ValuesError):
            assert 0 < len(parse_values(text, kind=kind)) <= MAX_VALUES
