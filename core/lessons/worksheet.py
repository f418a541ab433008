"""A lesson on paper: a page for a learner without a device, and a page for the teacher."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping

from fpdf import FPDF
from PIL import Image

from core.lessons.grading import said
from core.lessons.lesson import COURSES, PLACES, SIDE, Challenge, Lesson
from core.output.sheet.lettering import BOLD, FONT_FILES, REGULAR

FAMILY = "Source Sans 3"
WIDTH, MARGIN, TOP = 210, 18, 16  # mm, of A4
PICTURE = 30  # mm
LINE = 5.5  # mm of a line of text
WRITTEN = 7  # mm of a line to write on
_UNDATED = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)  # equal worksheets are equal files
_MARKS = re.compile(r"\*\*")


def write_worksheet(
    lesson: Lesson, pictures: Mapping[str, tuple[tuple[Image.Image, str], ...]]
) -> bytes:
    """A PDF of two pages of A4. `pictures` are those shown before each part's prediction, with
    what is written under them; a part without any has a line that says so.
    """
    sheet = _Sheet(lesson)
    sheet.learner(pictures)
    sheet.teacher()
    return sheet.finished()


class _Sheet:
    def __init__(self, lesson: Lesson) -> None:
        self.lesson = lesson
        self.pdf = FPDF(unit="mm", format="A4")
        self.pdf.set_auto_page_break(True, margin=TOP)
        self.pdf.set_margins(MARGIN, TOP, MARGIN)
        self.pdf.set_creation_date(_UNDATED)
        self.pdf.set_title(lesson.title)
        self.pdf.set_producer("Diffusion Lightbox")
        for weight, style in ((REGULAR, ""), (BOLD, "B")):
            self.pdf.add_font(FAMILY, style, FONT_FILES[weight])

    def finished(self) -> bytes:
        return bytes(self.pdf.output())

    def learner(self, pictures: Mapping[str, tuple[tuple[Image.Image, str], ...]]) -> None:
        lesson = self.lesson
        self.pdf.add_page()
        self.text(lesson.title, 18, bold=True)
        self.text(f"About {lesson.minutes} minutes.", 10)
        if lesson.before:
            self.text(lesson.before, 11)
        self.pictures(pictures.get("main", ()))
        self.text("1. Predict, before you see the run", 12, bold=True)
        self.ask(lesson.main)
        self.lines("I think so because", 1)
        self.lines("2. The run says", 1)
        self.lines("What explains it", 2)
        self.text("3. And on another prompt?", 12, bold=True)
        self.pictures(pictures.get("transfer", ()))
        self.ask(lesson.transfer)
        self.lines("The run says", 1)

    def teacher(self) -> None:
        lesson = self.lesson
        self.pdf.add_page()
        self.text(f"For the teacher: {lesson.title}", 16, bold=True)
        for title, text in (
            ("What it teaches", lesson.teaches),
            ("What learners usually predict", lesson.usually),
            ("What to say", lesson.say),
            ("What the run says", _stated(lesson.main)),
            ("On the other prompt", f"{lesson.transfer.question} {_stated(lesson.transfer)}"),
            ("Why", lesson.why),
            ("Source", " ".join(one for one in (lesson.source, lesson.link) if one)),
            *((COURSES[name], unit) for name, unit in lesson.courses.items()),
        ):
            self.text(title, 12, bold=True)
            self.text(text, 11)

    def text(self, text: str, size: int, *, bold: bool = False) -> None:
        self.pdf.set_font(FAMILY, "B" if bold else "", size)
        self.pdf.multi_cell(
            0, size * 0.5, _MARKS.sub("", text), align="L", new_x="LMARGIN", new_y="NEXT"
        )
        self.pdf.ln(1.5)

    def pictures(self, shown: tuple[tuple[Image.Image, str], ...]) -> None:
        if not shown:
            return
        top = self.pdf.get_y()
        for index, (picture, caption) in enumerate(shown):
            left = MARGIN + index * (PICTURE + 4)
            self.pdf.image(picture, left, top, PICTURE, PICTURE, keep_aspect_ratio=True)
            self.pdf.set_xy(left, top + PICTURE + 0.5)
            self.pdf.set_font(FAMILY, "", 8)
            self.pdf.multi_cell(PICTURE, 3.4, caption, align="L", max_line_height=3.4)
        self.pdf.set_xy(MARGIN, top + PICTURE + 9)

    def ask(self, challenge: Challenge) -> None:
        """The question, and what is filled in with a pen."""
        ask, pdf = challenge.ask, self.pdf
        self.text(challenge.question, 12)
        if ask.kind == "choice":
            for option in ask.options:
                self.box(option)
        elif ask.kind == "number":
            low, high = (said(ask, end) for end in (ask.low, ask.high))
            self.text(f"From {low} to {high}:  ____________ {ask.unit}", 11)
        elif ask.kind == "order":
            self.text("Number them: 1 is the first.", 10)
            for option in ask.options:
                self.box(option)
        else:
            self.text("Mark one of the nine places with a cross.", 10)
            self.places()
        pdf.ln(2)

    def box(self, text: str) -> None:
        pdf = self.pdf
        pdf.rect(MARGIN, pdf.get_y() + 1, 4, 4)
        pdf.set_xy(MARGIN + 7, pdf.get_y())
        pdf.set_font(FAMILY, "", 11)
        pdf.cell(0, LINE, text, new_x="LMARGIN", new_y="NEXT")

    def places(self) -> None:
        pdf, side = self.pdf, 8
        top = pdf.get_y()
        for index in range(len(PLACES)):
            pdf.rect(MARGIN + index % SIDE * side, top + index // SIDE * side, side, side)
        pdf.set_xy(MARGIN, top + SIDE * side)

    def lines(self, title: str, count: int) -> None:
        """Lines to write on."""
        self.text(title, 12, bold=True)
        pdf = self.pdf
        for _ in range(count):
            pdf.ln(WRITTEN)
            pdf.line(MARGIN, pdf.get_y(), WIDTH - MARGIN, pdf.get_y())
        pdf.ln(3)


def _stated(challenge: Challenge) -> str:
    """The answer that the lesson states; of a number its bounds."""
    ask, stated = challenge.ask, challenge.answer.stated
    if ask.kind == "number":
        low, high = (said(ask, end) for end in stated)
        return low if low == high else f"Between {low} and {high}, depending on the model."
    if ask.kind == "order":
        return f"{said(ask, tuple(int(one) for one in stated))}."
    return f"{' or '.join(said(ask, int(one)) for one in stated)}."
