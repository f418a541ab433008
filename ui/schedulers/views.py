"""What the scheduler lab shows of its timetables: two figures, a summary, every call."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from core.diffusion.sampling.timetable import Timetable
from core.output.figures.step_table import write_rows_csv
from core.output.figures.timetable_figures import (
    KIND_NAMES,
    ORDER,
    PLACES,
    LabFigure,
    call_table,
    order_figure,
    places_figure,
    summary_table,
)
from ui.help import links_of_figure
from ui.links import BOUND
from ui.schedulers.form import MEASURES, PREFIX
from ui.views import plain


def show_tables(tables: Sequence[Timetable]) -> None:
    """Figures over the chosen measure, then the numbers."""
    chosen = st.segmented_control(
        "X axis",
        list(MEASURES),
        default="log-SNR",
        required=True,
        key=f"{PREFIX}_over",
        help="The timestep is the index that the model was trained on; sigma and log-SNR measure "
        "the noise.",
        **BOUND,
    )
    measure = MEASURES[chosen or "log-SNR"]
    with st.container(border=True, gap="xsmall"):
        _show(PLACES, places_figure(tables, measure))
        found = {call.kind for table in tables for call in table.calls}
        if found - {"step"}:
            second = f"Open diamond: {KIND_NAMES['second']}"
            again = f"open square: {KIND_NAMES['again']}"
            st.caption(f"{second}; {again}. Each costs a UNet call of its own.")
    with st.container(border=True, gap="xsmall"):
        _show(ORDER, order_figure(tables, measure))
    _show_summary(tables)
    with st.expander("Every call", icon=":material/table_rows:", key="schedulers:calls"):
        rows = call_table(tables)
        st.dataframe(rows, hide_index=True, placeholder="–")
        st.download_button(
            "CSV",
            lambda: write_rows_csv(rows),
            file_name="lightbox-schedules.csv",
            mime="text/csv",
            key=f"{PREFIX}:csv",
            icon=":material/table:",
            on_click="ignore",
        )


def _show(row: LabFigure, figure: go.Figure) -> None:
    st.markdown(f"**{row.title}**")
    st.caption(f"{plain(row.look)}  \n{links_of_figure(row.name)}")
    st.plotly_chart(
        figure,
        key=f"{PREFIX}:plot:{row.name}",
        width="stretch",
        config={
            "displaylogo": False,
            "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
            "toImageButtonOptions": {
                "format": "png",
                "filename": f"lightbox-schedules-{row.name}",
                "scale": 2,
            },
        },
        alt=row.title,
    )


def _show_summary(tables: Sequence[Timetable]) -> None:
    st.dataframe(
        summary_table(tables),
        hide_index=True,
        placeholder="–",
        column_config={
            "First timestep": st.column_config.NumberColumn(format="%.5g"),
            "First sigma": st.column_config.NumberColumn(format="%.4g"),
            "Last sigma": st.column_config.NumberColumn(format="%.4g"),
            "Extra calls": st.column_config.NumberColumn(
                help="Second calls of Heun and DPM2, and PNDM's first transition again"
            ),
        },
    )
