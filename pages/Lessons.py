"""Lessons: predict, run, see. The run itself grades the answer."""

import streamlit as st

from ui.catalog import LESSONS
from ui.frame import open_page
from ui.lessons.flow import show_lesson
from ui.lessons.learner import this_learner
from ui.lessons.listing import choose_lesson, parameters, show_list, show_problems
from ui.lessons.shelf import shelf_of
from ui.links import check_address

with open_page(LESSONS) as runtime:
    st.title("Lessons", anchor=False)
    shelf = shelf_of(runtime)
    broken = check_address(LESSONS.prefix, parameters(shelf))
    learner = this_learner(runtime)
    lesson = choose_lesson(shelf)
    if lesson is None:
        show_problems(shelf)
        show_list(shelf, learner.answers.of(learner.name))
    else:
        show_lesson(runtime, lesson, learner)
    if broken:
        st.rerun()  # with the address mended
