"""Lessons: predict, run, see. The run itself grades the answer."""

import streamlit as st

from ui.catalog import LESSONS
from ui.frame import open_page
from ui.lessons.flow import show_lesson
from ui.lessons.listing import choose_lesson, parameters, show_list, show_problems
from ui.lessons.shelf import shelf_of
from ui.links import check_address
from ui.runtime import owner_id

with open_page(LESSONS) as runtime:
    st.title("Lessons", anchor=False)
    shelf = shelf_of(runtime)
    broken = check_address(LESSONS.prefix, parameters(shelf))
    answers = runtime.lesson_answers.of(owner_id())
    lesson = choose_lesson(shelf)
    if lesson is None:
        show_problems(shelf)
        show_list(shelf, answers)
    else:
        show_lesson(runtime, lesson, answers)
    if broken:
        st.rerun()  # with the address mended
