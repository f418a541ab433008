"""A lesson's file is read whole, and every problem of it is named at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.__main__ import main
from core.lessons.files.reading import LessonFileError, read_lesson
from core.lessons.grading import Graded, broken, is_right, pairs_in_order, read_value, said
from core.lessons.lesson import COURSES, KINDS, PLACES, Answer, Ask
from core.lessons.measured import Measured
from core.lessons.measures import MEASURES
from core.lessons.run import LessonError
from core.lessons.shelf import LESSONS, all_lessons, find_lessons
from core.lessons.takes import TAKES, taken
from core.lessons.words import MOST_WHY, MOST_WORDS, sentences, too_long, words

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "lessons"
OWN = EXAMPLES / "background.toml"


def kept(array: object, name: str) -> str:
    return "0" * 64


def test_the_lessons_of_the_app_have_no_problem() -> None:
    shelf = find_lessons()
    assert not shelf.errors
    assert len(shelf.lessons) >= 10
    kinds = {one.main.ask.kind for one in shelf.lessons}
    assert kinds == set(KINDS), "every kind of prediction is in a lesson"
    assert len({one.title for one in shelf.lessons}) == len(shelf.lessons)
    for lesson in shelf.lessons:
        assert lesson.courses.keys() <= COURSES.keys()
        assert len(words(lesson.why)) <= MOST_WHY
        for place, text in lesson.texts():
            for sentence in sentences(text):
                assert len(words(sentence)) <= MOST_WORDS, (lesson.name, place, sentence)
        assert "believe" not in lesson.why


def changed(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    text = OWN.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    path = tmp_path / "changed.toml"
    path.write_text(text, encoding="utf-8")
    return path


CHANGES = {
    'title = "Which background is the most colourful?"': ("", "title: a text is missing"),
    "minutes = 4": ("minutes = 400", "minutes: a whole number from 1 to 60 is missing"),
    "shown = [[0, 0]]": ("shown = [[7, 0]]", "shown: [7, 0] is no cell of 3 x 2"),
    'figure = "bars"': ('figure = "pie"', "figure: 'pie' is none of bars"),
    'kind = "choice"': ('kind = "essay"', "predict: kind is one of choice, number, order, place"),
    'measure = "quantity"': ('measure = "beauty"', "answer: measure is one of quantity"),
    'take = "largest"': ('take = "rising"', "answer: take 'rising' does not answer a choice"),
    'quantity = "colourfulness"': ('quantity = "beauty"', "quantity: 'beauty' is none of rmse"),
    'stated = "Blue"': ('stated = "Green"', "answer: stated: ['Green']: name one of White"),
    "is {answer}.": ("is it.", "answer: says must be a text with {answer} in it"),
    'axis = "seed"': ('axis = "seeds"', "run: 'seeds' is not an axis"),
    'page = "Sweep"': ('page = "Heaven"', "next 1: page is one of Sweep"),
    'usually = "Some': ('usual = "Some', "notes: usual is none of usually, say"),
    "White and gray have none of either, so only the apple counts there.": (
        "White and gray " + "and so on " * 9 + "end.",
        "why: a sentence has more than 25 words",
    ),
}


@pytest.mark.parametrize("old", CHANGES)
def test_each_problem_is_named(tmp_path: Path, old: str) -> None:
    new, expected = CHANGES[old]
    with pytest.raises(LessonFileError) as error:
        read_lesson(changed(tmp_path, (old, new)), keep=kept)
    assert any(expected in problem for problem in error.value.problems), error.value.problems


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    keys = ["minutes = 4", "shown = [[0, 0]]", 'page = "Sweep"', 'figure = "bars"']
    path = changed(tmp_path, *((old, CHANGES[old][0]) for old in keys))
    with pytest.raises(LessonFileError) as error:
        read_lesson(path, keep=kept)
    for old in keys:
        assert any(CHANGES[old][1] in one for one in error.value.problems), old


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a = [", "is not a TOML file"), ("", "question: a text is missing"), ("\x00", "TOML")],
)
def test_a_file_that_is_no_lesson_says_so(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "none.toml"
    path.write_text(text)
    with pytest.raises(LessonFileError, match=expected):
        read_lesson(path)
    with pytest.raises(LessonFileError, match="cannot be read"):
        read_lesson(tmp_path / "gone.toml")


def test_a_seed_is_needed_and_a_transfer_is_another_run(tmp_path: Path) -> None:
    text = OWN.read_text(encoding="utf-8")
    path = tmp_path / "same.toml"
    cut = text[: text.index("[transfer.run.base]")] + text[text.index("[[next]]") :]
    path.write_text(
        cut.replace('axis = "seed"\nvalues = "1-2"', 'axis = "guidance_scale"\nvalues = "3, 5"')
    )
    with pytest.raises(LessonFileError) as error:
        read_lesson(path)
    problems = "\n".join(error.value.problems)
    assert "run: a seed is missing" in problems
    assert "transfer: the run is the same" in problems


def test_own_lessons_join_those_of_the_app(tmp_path: Path) -> None:
    folder = tmp_path / "lessons"
    folder.mkdir()
    (folder / "own.toml").write_bytes(OWN.read_bytes())
    (folder / "01-seed.toml").write_bytes(OWN.read_bytes())
    (folder / "broken.toml").write_text("title = 3")
    shelf = all_lessons(tmp_path, kept)
    assert [one.name for one in shelf.lessons if one.is_own] == ["own"]
    assert {error.path.name for error in shelf.errors} == {"01-seed.toml", "broken.toml"}
    assert len(shelf.lessons) == len(find_lessons(LESSONS).lessons) + 1


def test_the_command_names_problems_and_lists_lessons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(tmp_path / "data")]
    assert main(["lessons", *data]) == 0
    assert "01-seed: What does the seed decide?" in capsys.readouterr().out
    assert main(["lessons", "--check", str(EXAMPLES), "--read", *data]) == 0
    assert capsys.readouterr().out == "background: read\n"
    folder = tmp_path / "wrong"
    folder.mkdir()
    changed(folder, ("minutes = 4", "minutes = 0"), ('page = "Sweep"', 'page = "x"'))
    assert main(["lessons", "--check", str(folder), "--read", *data]) == 1
    said_ = capsys.readouterr().err
    assert "changed.toml: minutes:" in said_
    assert "changed.toml: next 1: page" in said_
    assert main(["lessons", "--check", str(tmp_path / "none"), *data]) == 2
    assert main(["lessons", "--only", "99-none", *data]) == 2


def test_a_run_that_says_something_else_is_found() -> None:
    ask = Ask(kind="choice", options=("one", "two"))
    challenge = read_lesson(OWN, keep=kept).main
    measured = Measured(label="x", candidates=("a", "b", "c"), values=(3.0, 2.0, 1.0))
    graded = Graded(measured=measured, answer=0)
    assert "the run says White, the lesson states Blue" in broken(challenge, graded)
    assert said(ask, 1) == "two"


def test_takes() -> None:
    measured = Measured(
        label="x",
        candidates=("2", "4", "8", "16"),
        numbers=(2.0, 4.0, 8.0, 16.0),
        values=(30.0, 9.0, 12.0, 3.0),
    )
    assert taken(measured, "largest", {}) == 0
    assert taken(measured, "smallest", {}) == 3
    assert taken(measured, "smallest", {"skip": 0}) == 2
    assert taken(measured, "value", {"at": -1}) == 3.0
    assert taken(measured, "ratio", {"at": 0, "to": 3}) == 10.0
    assert taken(measured, "first below", {"limit": 10}) == 16.0
    assert taken(measured, "first below", {"limit": 13}) == 4.0
    assert taken(measured, "count above", {"limit": 9}) == 2.0
    assert taken(measured, "rising", {}) == (3, 1, 2, 0)
    assert taken(measured, "falling", {}) == (0, 2, 1, 3)
    assert taken(measured, "bin", {"at": 1, "bounds": [5, 9, 20]}) == 2
    assert taken(measured, "bin of ratio", {"at": 0, "to": 1, "bounds": [2, 4]}) == 1
    with pytest.raises(LessonError, match="none is below"):
        taken(measured, "first below", {"limit": 1})
    with pytest.raises(LessonError, match="no candidate 9"):
        taken(measured, "value", {"at": 9})


def test_a_number_is_right_within_its_tolerance_or_factor() -> None:
    ask = Ask(kind="number", low=1, high=64)
    measured = Measured(label="x", candidates=("a",), values=(8.0,))
    graded = Graded(measured=measured, answer=8.0)
    near = Answer(measure="calls", take="value", stated=(1.0, 9.0), tolerance=1.0)
    assert is_right(near, ask, graded, 9.0)
    assert not is_right(near, ask, graded, 9.5)
    double = Answer(measure="calls", take="value", stated=(1.0, 9.0), factor=2.0)
    for value, expected in ((4.0, True), (16.0, True), (3.9, False), (17.0, False)):
        assert is_right(double, ask, graded, value) is expected


def test_stored_predictions_that_fit_no_longer_are_none() -> None:
    choice, order = (Ask(kind=kind, options=("a", "b", "c")) for kind in ("choice", "order"))
    number, place = Ask(kind="number", low=1, high=5), Ask(kind="place")
    for ask, good in ((choice, 2), (number, 5), (place, len(PLACES) - 1), (order, [2, 0, 1])):
        assert read_value(ask, good) is not None
    for ask, bad in ((choice, 3), (number, 9), (place, -1), (order, [0, 0, 1]), (order, 4)):
        assert read_value(ask, bad) is None
    for ask in (choice, order, number, place):
        for bad in (None, "1", {}, [None], True):
            assert read_value(ask, bad) is None, (ask, bad)


def test_pairs_of_an_order() -> None:
    assert pairs_in_order((0, 1, 2), (0, 1, 2)) == (3, 3)
    assert pairs_in_order((2, 1, 0), (0, 1, 2)) == (0, 3)
    assert pairs_in_order((1, 0, 2), (0, 1, 2)) == (2, 3)


def test_the_format_is_documented() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for name in (*MEASURES, *TAKES, *KINDS, *COURSES):
        assert f"`{name}`" in text, name


def test_sentences_are_counted() -> None:
    assert too_long("word " * 25 + ".") == []
    assert too_long("word " * 26 + ".") != []
    assert len(sentences("One. Two? Three: four.")) == 4
