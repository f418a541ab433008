"""Classical mistakes beside the right picture, each really computed."""

from __future__ import annotations

import streamlit as st

from core.diffusion.inside.anatomy import MadeMistake, Run
from core.diffusion.inside.mistake_table import MISTAKES, Mistake
from core.output.figures.tiles import png
from core.output.numbers.metrics import rmse
from ui.runs.tasks import request_of
from ui.runtime import Runtime
from ui.steps.form import summary
from ui.steps.work import work_on

SIDE = 152  # pixels of a picture on the screen: a pair fits beside each other on a phone


def show_mistakes(runtime: Runtime, run: Run) -> None:
    """All of them, with the reader's own prompt and seed, as far as they are computed."""
    st.caption(
        "Mistakes found in real code, with your prompt and seed. Both pictures of a pair are "
        "computed now, the wrong one with the mistake in it."
    )
    for name, mistake in MISTAKES.items():
        with st.container(border=True):
            words, pictures = st.columns([0.5, 0.5], gap="medium")
            with words:
                st.subheader(mistake.title, anchor=False)
                st.markdown(mistake.why)
                st.code(f"# wrong\n{mistake.wrong}\n# right\n{mistake.right}", wrap_lines=True)
            with pictures:
                found = _made(runtime, run, name, mistake)
                if found is not None:
                    _show_pair(found)


def _made(runtime: Runtime, run: Run, name: str, mistake: Mistake) -> MadeMistake | None:
    request = request_of("mistake", run.settings, mistake=name)
    return work_on(runtime, f"mistake {name}", request, mistake.title)


def _show_pair(found: MadeMistake) -> None:
    with st.container(horizontal=True, gap="small"):
        for title, image in (("Right", found.right), ("Wrong", found.wrong)):
            with st.container(width="content", gap="xsmall"):
                st.caption(title)
                st.image(png(image), width=SIDE, output_format="PNG", alt=title)
    apart = rmse(found.right, found.wrong)
    st.caption(f"{summary(found.settings)}. They differ by {apart:.0f} of 255 (RMSE).")
