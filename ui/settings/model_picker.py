"""The model's control, in the sidebar: what is here, its family's settings, and the hub."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from core.diffusion.models.hub_cache import is_hub_id, pinned, split_id
from core.diffusion.models.load import ModelError, ModelInfo, describe, list_models
from core.diffusion.models.origins import locate
from core.runs.worker.model.downloads import Download, downloads
from ui.catalog import CATALOG
from ui.links import put_settings
from ui.progress import Progress, follow
from ui.views import plain, show_error

Defaults = Callable[[ModelInfo], dict[str, object]]

FAMILY_FIELDS = ("width", "height", "num_inference_steps", "guidance_scale", "scheduler")
"""What another model sets besides itself: each family was trained for its own."""


def model_picker(model: ModelInfo, prefix: str, defaults: Defaults) -> str:
    """The model that is chosen for a page, by name, in the sidebar where the catalog says so.
    Choosing one sets the size, steps, guidance and scheduler that its family was trained for.
    `defaults` says what each control begins with.
    """
    if any(page.prefix == prefix and page.has_model for page in CATALOG):
        with st.sidebar.container(gap="xsmall"):
            return _picker(model, prefix, defaults)
    return _picker(model, prefix, defaults)


def _picker(model: ModelInfo, prefix: str, defaults: Defaults) -> str:
    key = f"{prefix}_model"
    names = _pinned_names()
    asked = str(st.session_state.get(key) or st.query_params.get(key, ""))
    if asked not in names and (better := _pinned(asked)) in names:
        st.session_state[key] = better
    source = st.selectbox(
        "Model",
        names,
        names.index(model.source),
        key=key,
        format_func=str,
        on_change=_take_over,
        args=(prefix, defaults),
        bind="query-params",
        persist_state="session",
        help="Folders and .safetensors checkpoints of LIGHTBOX_MODELS, and the models that are in "
        "the Hugging Face cache. Choosing one sets size, steps, guidance and scheduler. Each page "
        "has its own.",
    )
    try:
        info = describe(source)
        called = "" if info.name in source else f"{info.name} · "
        size = f"{info.default_width} × {info.default_height} pixels"
        st.caption(plain(f"{called}{info.family_name} · {size}"))
    except ModelError as error:
        show_error("This model cannot be used", str(error))
    with st.popover("From Hugging Face", icon=":material/cloud_download:"):
        _hub_box(prefix, defaults)
    return source


def _pinned_names() -> list[str]:
    """The models that are here, those of the cache by their commits alone: a bare id would mean
    another model after the next download.
    """
    names = list_models()
    return [name for name in names if not any(one.startswith(f"{name}@") for one in names)]


def _pinned(source: str) -> str:
    """A hub id by the commit that is here; any other name as it is."""
    try:
        commit = locate(source).revision
    except (ModelError, OSError):  # what a link says may be too long for a path
        return source
    return pinned(split_id(source)[0], commit) if commit else source


def chosen_model(model: ModelInfo, prefix: str) -> ModelInfo:
    """What the control says, before it is drawn; `model` where that cannot be used."""
    try:
        return describe(st.session_state.get(f"{prefix}_model") or model.source)
    except ModelError:
        return model


def _hub_box(prefix: str, defaults: Defaults) -> None:
    typed = st.text_input(
        "Hub id",
        key=f"{prefix}:hub",
        placeholder="owner/name",
        help="A model in diffusers layout, with safetensors weights; owner/name@revision for one "
        "commit of it. It is kept in the Hugging Face cache.",
    ).strip()
    is_id = bool(typed) and is_hub_id(typed)
    if typed and not is_id:
        st.caption("An id has the form owner/name.")
    st.button(
        "Download",
        key=f"{prefix}:hub go",
        icon=":material/download:",
        disabled=not is_id,
        on_click=downloads.start,
        args=(typed,),
    )
    if is_id and (download := downloads.state(typed)) is not None:
        _show(download, prefix, defaults)


def _show(download: Download, prefix: str, defaults: Defaults) -> None:
    """How far a download is, with Stop; or how it ended."""
    source = download.source
    if download.state == "running":
        follow(
            partial(_look, source),
            key=f"{prefix}:hub stop",
            stop=partial(downloads.stop, source),
        )
    elif download.state == "done":
        st.caption("Downloaded.")
        st.button(
            "Use it",
            key=f"{prefix}:hub use",
            icon=":material/check:",
            on_click=_use,
            args=(source, prefix, defaults),
        )
    elif download.state == "stopped":
        st.caption("Stopped. Press Download to resume it.")
    else:
        show_error("The download failed", download.reason)


def _look(source: str) -> Progress | None:
    """How far a download is; None once it is over."""
    download = downloads.state(source)
    if download is None or download.state != "running":
        return None
    if not download.total:
        return Progress(share=0.0, words="Contacting the hub")
    words = f"{download.done / 1e9:.2f} of {download.total / 1e9:.2f} GB"
    return Progress(share=download.done / download.total, words=words)


def _use(source: str, prefix: str, defaults: Defaults) -> None:
    """A callback: chooses what was downloaded, by its commit."""
    st.session_state[f"{prefix}_model"] = _pinned(source)
    downloads.forget(source)
    _take_over(prefix, defaults)


def _take_over(prefix: str, defaults: Defaults) -> None:
    """A callback: what the chosen model's family was trained for."""
    try:
        info = describe(st.session_state[f"{prefix}_model"])
    except ModelError:
        return  # the control itself says so
    values = defaults(info)
    put_settings(prefix, {field: values[field] for field in FAMILY_FIELDS})
