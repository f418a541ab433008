"""Own numbers from a CSV file: found by what the file says, and every bad row named."""

from __future__ import annotations

import pytest

from core.exports.effects.own_csv import OwnNumbersError, OwnTable, read_own_numbers
from core.exports.report import ReportCell, numbers, write_csv
from core.runs.store.store import Store
from core.sweeps.plan import Plan, make_plan
from tests.core.exports.effects.doubles import guidance_by_seed
from tests.core.runs.doubles import describe

SWEEP = guidance_by_seed()


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    store = Store(tmp_path_factory.mktemp("data"))
    return make_plan(SWEEP, describe=describe, holds=store.holds)


def read(plan: Plan, text: str, encoding: str = "utf-8") -> OwnTable:
    return read_own_numbers(text.encode(encoding), SWEEP, plan)


def problems(plan: Plan, text: str) -> str:
    with pytest.raises(OwnNumbersError) as raised:
        read(plan, text)
    return " ".join(raised.value.problems)


def test_rows_are_found_in_each_of_the_ways(plan: Plan) -> None:
    digests = plan.digests
    by_digest = f"digest,Rating\n{digests[0]},4\n{digests[3][:12]},2.5\n"
    by_place = "x;y;z;Rating\n0;0;0;4\n1;1;0;2,5\n"
    by_axes = "Guidance scale\tSeed\tRating\n3\t1\t4\n7.0\t2\t2.5\n"
    by_names = "guidance_scale,seed,Rating\n3,1,4\n7,2,2.5\n"
    for text in (by_digest, by_place, by_axes, by_names):
        found = read(plan, text)
        assert found.numbers == {"Rating": {digests[0]: 4.0, digests[3]: 2.5}}, text
        assert (found.problems, found.count) == ((), 2)
    assert read(plan, by_axes, "utf-16").count == 2


def test_the_exported_csv_with_a_column_more_is_read(plan: Plan) -> None:
    cells = [
        ReportCell(x=cell.x, y=cell.y, z=cell.z, settings=cell.settings, digest=digest)
        for cell, digest in zip(plan.cells, plan.digests, strict=True)
    ]
    lines = write_csv(SWEEP, cells, numbers(cells)).decode("utf-8-sig").splitlines()
    more = [f"{line},{n if n else 'Hands'}" for n, line in enumerate(lines)]
    found = read(plan, "\n".join(more))
    assert found.numbers == {"Hands": {d: n + 1.0 for n, d in enumerate(plan.digests)}}


def test_bad_rows_are_named_and_the_others_are_taken(plan: Plan) -> None:
    text = "x,y,z,Rating\n0,0,0,4\n9,0,0,1\n1,0,0,nan\n0,1,0,good\n1,1,0,\n0,0,0,5\na,0,0,1\n"
    found = read(plan, text)
    assert found.numbers == {"Rating": {plan.digests[0]: 4.0}}
    said = " ".join(found.problems)
    assert "Rows 3, 8 match no cell of this grid." in said
    assert "Rows 4, 5: Rating is no finite number." in said
    assert "Row 7: Rating has another number for the same picture." in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no rows"),
        ("x,y,z,Rating\n", "no rows"),
        ("name,Rating\na,4\n", "which cell a row is"),
        ("x,y,z\n0,0,0\n", "No column holds numbers"),
        ("x,y,z,Rating\n9,9,9,4\n", "Row 2 matches no cell"),
        ("x,y,z,Rating\n0,0,0,inf\n", "no finite number"),
        ("x,y,z,a,a\n0,0,0,1,2\n", "Two columns are called a"),
        ("x,y,z," + "n" * 50 + "\n0,0,0,1\n", "longer than 40"),
        ("digest,Rating\nabc,1\n", "matches no cell"),
    ],
)
def test_a_file_without_one_number_says_why(plan: Plan, text: str, words: str) -> None:
    assert words in problems(plan, text)


def test_all_that_is_wrong_with_a_header_is_said_at_once(plan: Plan) -> None:
    assert len(problems(plan, "file,reason\n").split(". ")) >= 3


def test_what_is_no_text_is_said(plan: Plan) -> None:
    with pytest.raises(OwnNumbersError, match="UTF-8"):
        read_own_numbers(b"\x89PNG\xff\xff\x00", SWEEP, plan)
