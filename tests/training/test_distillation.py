"""Words of a caption and what they stand for."""

from training.data.captions import FILL, NOUNS, Caption
from training.stages.distillation import NOTHING, plain_words


def test_names_stand_for_usual_ones_and_filler_for_nothing() -> None:
    one, other = NOUNS
    text = (
        f"{FILL}photo {FILL}of a {one}space {one}shuttle left of {other}kittens, flat style "
        f"{FILL}, {FILL}highly {FILL}detailed"
    )
    caption = Caption(marked=text, claims=frozenset())
    assert caption.text == ("photo of a space shuttle left of kittens, flat style, highly detailed")
    student, teacher, stands_for = plain_words(caption, ("octopus", "cat"))
    assert teacher == ["an", "octopus", "left", "of", "cat", ",", "flat", "style"]
    assert " ".join(student) == (
        "photo of a space shuttle left of kittens , flat style , highly detailed"
    )
    assert stands_for == [NOTHING, NOTHING, 0, 1, 1, 2, 3, 4, 5, 6, 7, NOTHING, NOTHING, NOTHING]
