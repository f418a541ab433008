"""Sweep: a grid of pictures that differ in what the axes say, developing together."""

from contextlib import suppress

import streamlit as st

from core.diffusion.models.load import ModelError
from ui.catalog import SWEEP
from ui.frame import open_page
from ui.grid.board import make_board
from ui.grid.grid import show_waiting
from ui.grid.jobs import current_job, show_others
from ui.grid.plan import plan_of, prompt_box, run_button, show_plan, submit
from ui.grid.saved import drop_sweep, show_saved
from ui.links import check_address, mend_address
from ui.settings.controls import count_tokens
from ui.sweep.form import PREFIX, defaults, parameters, sweep_form
from ui.sweep.views import looks, places, show_views

with open_page(SWEEP) as runtime:
    st.title("Sweep", anchor=False)
    mend_address(PREFIX, defaults(runtime.model))
    broken = check_address(PREFIX, (*parameters(), *looks()))
    run, counter = prompt_box(runtime.model)
    stage, panel = places()
    with panel.container(border=True):
        form = sweep_form(runtime.model)
        saved = st.expander("Saved sweeps", icon=":material/bookmarks:")
        with st.expander("Sweep from a picture", icon=":material/upload_file:"):
            drop_sweep()
    plan = plan_of(runtime, form)
    submit(runtime, form, plan)
    job = current_job(runtime, plan)
    run_button(run, plan, job)
    with saved:
        show_saved(runtime, form.sweep, can_save=not plan.problems)
    with stage:
        show_others(runtime, job)
        show_plan(form, plan)
        if plan.problems:
            show_waiting()
        else:
            cells = runtime.queue.cells(job.id) if job else []
            board = make_board(runtime.store, form.sweep, plan, job, cells)
            show_views(runtime, board)
    with suppress(ModelError):  # the plan says it, and what of each prompt is cut off
        count_tokens(counter, form.sweep.base.model, PREFIX, warns=False)
    if broken:
        st.rerun()  # with the address mended
