"""Whose variations are made: a stored picture or a seed, its parents, and its relatives."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import streamlit as st

from core.diffusion.models.load import ModelError, describe
from core.diffusion.named_files import digest_of
from core.diffusion.recipe.noise_methods import METHODS
from core.diffusion.recipe.variations import Variation, variations_of
from core.diffusion.settings import GenerationSettings, SettingsError
from core.output.figures.genealogy_figure import TreeNode, genealogy_figure
from core.runs.store.genealogy import Member, line_of, relatives_of
from core.runs.store.store import StoredImage
from core.sweeps.drawn import draw_batch
from ui.catalog import VARIATIONS
from ui.links import BOUND, put_runs
from ui.runs.media import inline, smaller
from ui.runs.progress import follow_job
from ui.runs.recording import can_repeat
from ui.runs.run_picker import pick_runs
from ui.runtime import Runtime, owner_id
from ui.settings.controls import settings_form
from ui.views import picture_bytes, plain, problem_lines, show_error, show_picture

PREFIX = VARIATIONS.prefix
MAKING = f"{PREFIX}:making"
"""(job id, digest) of a picture that is being made to vary it."""
TREE = f"{PREFIX}:tree"
THUMBNAIL = 112  # pixels of the file: about twice what is on the screen
PARENT_SIDE = 112  # pixels on the screen
OTHER_MODEL = "This picture was made by another model"


def choose_source(runtime: Runtime) -> StoredImage | None:
    """The picture to vary; None while it is made, and where it cannot be varied, which is said."""
    if _is_making(runtime):
        return None
    images = pick_runs(runtime, PREFIX, several=False)
    image = images[0] if images else None
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if image is not None:
            # Without a choice it is the newest, which the first child would be.
            put_runs(PREFIX, [image.digest])
            _show_line(runtime, image)
        _begin_from_seed(runtime)
    if image is None:
        return None
    if not can_repeat(image):
        show_error(
            OTHER_MODEL,
            f"{image.model_name} is no longer available, or its weights have changed: the result "
            "would not be a variation of this picture.",
            "Choose a picture whose model is available.",
        )
        return None
    return image


def show_parent(runtime: Runtime, image: StoredImage) -> None:
    """The picture whose variations are made, and how it came about."""
    with st.container(horizontal=True, gap="small"):
        with st.container(width=PARENT_SIDE):
            if (data := picture_bytes(runtime.store, image.digest)) is not None:
                show_picture(data, image, longest=PARENT_SIDE)
        with st.container(gap="xxsmall", width="stretch"):
            st.caption(f"Seed {image.settings.seed}")
            for variation in variations_of(image.settings):
                st.caption(plain(variation_label(variation)))


def make_parent(digest: str) -> None:
    """A callback: the page goes on with this picture."""
    put_runs(PREFIX, [digest])
    st.session_state.pop(TREE, None)


def variation_label(variation: Variation) -> str:
    """ "Slerp, seed 7, 0.2"."""
    where = {"variation_region": variation.region, "variation_channel": str(variation.channel)}
    method = METHODS[variation.method]
    extra = f" ({where[method.uses]})" if method.uses else ""
    return f"{method.label}{extra}, seed {variation.seed}, {variation.strength:g}"


def _begin_from_seed(runtime: Runtime) -> None:
    with st.popover(
        "Start from a seed",
        key=f"{PREFIX}:from_seed",
        icon=":material/casino:",
        width="content",
    ):
        st.text_area("Prompt", key=f"{PREFIX}_prompt", height=76, **BOUND)
        form = settings_form(runtime.model, PREFIX, seed=1, has_count=False)
        settings, why = _checked(runtime, form.batch()[0])
        if why:
            st.caption(f":red[{plain(why)}]")
        if st.button(
            "Vary this one",
            key=f"{PREFIX}:begin",
            type="primary",
            icon=":material/play_arrow:",
            disabled=bool(why),
        ):
            _make(runtime, settings)
            st.rerun()


def _checked(runtime: Runtime, typed: GenerationSettings) -> tuple[GenerationSettings, str]:
    """The settings with their prompts drawn, and why they cannot run, "" where they can."""
    try:
        factor = describe(typed.model).vae_scale_factor
        (drawn,) = draw_batch([typed], runtime.marks(), vae_scale_factor=factor)
    except ModelError as error:
        return typed, str(error)
    except SettingsError as error:
        return typed, problem_lines(error.problems)
    return drawn.settings, ""


def _make(runtime: Runtime, settings: GenerationSettings) -> None:
    """Asks for a picture and goes on with it once it is there; at once where it is stored.

    Raises ModelError, before anything is asked for.
    """
    digest = digest_of(settings, describe(settings.model).fingerprint)
    job_id = runtime.queue.submit(
        [settings],
        owner=owner_id(),
        token=uuid.uuid4().hex,
        label=f"{VARIATIONS.title}: {settings.prompt}"[:80],
    )
    st.session_state[MAKING] = (job_id, digest)


def _is_making(runtime: Runtime) -> bool:
    if MAKING not in st.session_state:
        return False
    job_id, digest = st.session_state[MAKING]
    job = runtime.queue.job(job_id)
    if job is None or job.is_over:
        del st.session_state[MAKING]
        if job is not None and job.state == "failed":
            show_error("The picture could not be made", job.error)
        if runtime.store.get(digest) is not None:
            make_parent(digest)
        return False

    follow_job(runtime, job_id, key=f"{PREFIX}:stop_making")
    return True


def _show_line(runtime: Runtime, image: StoredImage) -> None:
    """Breadcrumbs: from the first parent down to this picture; each leads back."""
    line = line_of(runtime.store, image)
    with st.container(horizontal=True, vertical_alignment="center", gap="xxsmall", width="stretch"):
        for index, member in enumerate(line):
            if index:
                st.caption("›", width="content")
            _show_member(runtime, member, _short(member.settings), is_here=index == len(line) - 1)


def _show_member(runtime: Runtime, member: Member, label: str, *, is_here: bool) -> None:
    if member.image is None:
        if st.button(
            f"{label}: deleted, make it again",
            key=f"{PREFIX}:again:{member.digest}",
            type="tertiary",
            icon=":material/refresh:",
        ):
            _make(runtime, member.settings)
            st.rerun()
        return
    st.button(
        label,
        key=f"{PREFIX}:to:{member.digest}",
        type="tertiary",
        disabled=is_here,
        help=None if is_here else "Go back to this picture",
        on_click=make_parent,
        args=(member.digest,),
    )


def _short(settings: GenerationSettings) -> str:
    """What made this picture from its parent: "seed 3", or "→ 7 · 0.2"."""
    variations = variations_of(settings)
    if not variations:
        return f"Seed {settings.seed}"
    last = variations[-1]
    name = "" if last.method == "slerp" else f"{last.method.replace('_', ' ')} "
    return f"{name}{last.seed} · {last.strength:g}"


def show_tree(runtime: Runtime, image: StoredImage) -> None:
    """All that comes from the same first parent; a click on a picture goes on with it."""
    members = relatives_of(runtime.store, image)
    if len(members) == 1:
        st.info("No variations yet: make some variations, and each of them can have its own.")
        return
    figure = genealogy_figure([_node(runtime, member, image.digest) for member in members])
    event = st.plotly_chart(
        figure,
        key=TREE,
        width="stretch",
        on_select="rerun",
        selection_mode="points",
        config={"displayModeBar": False},
        alt=f"Genealogy of {len(members)} pictures, from the first on the left.",
    )
    st.caption(
        f"{len(members)} pictures. Click one to continue with it. Each label says the variation "
        "seed and the strength; +n are children not drawn."
    )
    if (chosen := _clicked(event)) and chosen != image.digest:
        member = next((one for one in members if one.digest == chosen), None)
        if member is not None and member.image is not None:
            make_parent(chosen)
        elif member is not None:
            _make(runtime, member.settings)
        st.rerun()


def _clicked(event: object) -> str:
    selection = getattr(event, "selection", None) or {}
    points: Sequence[dict[str, object]] = selection.get("points", [])
    data = points[0].get("customdata") if points else None
    return str(data[0] if isinstance(data, list) else data or "")


def _node(runtime: Runtime, member: Member, here: str) -> TreeNode:
    data = smaller(runtime.store, member.digest, THUMBNAIL) if member.image else None
    return TreeNode(
        digest=member.digest,
        parent=member.parent,
        label=_short(member.settings),
        picture=inline(data) if data else None,
        is_here=member.digest == here,
    )
