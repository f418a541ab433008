"""Sweep: a grid of pictures that differ in what the axes say, developing together."""

from contextlib import suppress

import streamlit as st

from core.diffusion.models.load import ModelError
from ui.catalog import SWEEP
from ui.frame import open_page
from ui.grid.board import board_of
from ui.grid.plan import prepare, show_plan
from ui.links import check_address, mend_address
from ui.settings.prompt import count_tokens
from ui.sweep.form import PREFIX, STATE, defaults, parameters, sweep_form
from ui.sweep.others import show_others
from ui.sweep.prompt import prompt_box, run_button
from ui.sweep.saved import drop_sweep, show_recent, show_saved
from ui.sweep.table import show_table
from ui.sweep.table_editor import take_edited
from ui.sweep.views import looks, places, show_views, show_waiting

with open_page(SWEEP) as runtime:
    take_edited()
    st.title("Sweep", anchor=False)
    mend_address(PREFIX, defaults(runtime.model))
    broken = check_address(PREFIX, (*parameters(), *looks()))
    run, texts = prompt_box(runtime.model)
    stage, panel = places()
    with panel:
        form = sweep_form(runtime.model, runtime.marks())
        saved = st.expander("Recent and saved sweeps", icon=":material/bookmarks:")
        with st.expander("Sweep from a picture", icon=":material/upload_file:"):
            drop_sweep()
        table = st.expander("Table of settings", icon=":material/table:")
    plan, job = prepare(runtime, STATE, form)
    run_button(run, plan, job)
    with saved:
        show_recent(runtime)
        show_saved(runtime, form.sweep, can_save=not plan.problems)
    with table:
        show_table(form.sweep, plan)
    with stage:
        show_others(runtime, job)
        show_plan(form, plan, job)
        if plan.problems:
            show_waiting()
        else:
            show_views(runtime, board_of(runtime, STATE, form.sweep, plan, job))
    with suppress(ModelError):  # the plan says it, and what of each prompt is cut off
        count_tokens(texts, form.sweep.base.model, PREFIX, runtime.wildcards, warns=False)
    if broken:
        st.rerun()  # with the address mended
