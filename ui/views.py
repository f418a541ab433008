"""What pages show: errors, pictures, and the settings of a stored image."""

from __future__ import annotations

import re
import time

import streamlit as st

from core.diffusion.recipe.settings_table import SETTINGS, label_of
from core.diffusion.settings import Problem
from core.runs.store.store import Store, StoredImage, StoreError

MOST_NAMED = 3
_MARKDOWN = re.compile(r"([!-/:-@\[-`{-~])")

FIELD_NAMES = {name: row.label for name, row in SETTINGS.items()}


def plain(text: str) -> str:
    """`text` for places that read Markdown: every character that could mean something escaped."""
    return _MARKDOWN.sub(r"\\\1", text)


def show_error(title: str, what: str, next_step: str = "") -> None:
    """One titled message: what happened and what to do next. `what` may hold a user's words."""
    body = "\n\n".join(plain(part) for part in (what, next_step) if part)
    st.error(body, title=title, icon=":material/error:")


def show_warning(title: str, what: str, next_step: str = "") -> None:
    body = "\n\n".join(plain(part) for part in (what, next_step) if part)
    st.warning(body, title=title, icon=":material/warning:")


def problem_lines(problems: tuple[Problem, ...] | list[Problem]) -> str:
    """Every problem on its line, with the name that the form shows."""
    return "\n\n".join(f"{label_of(p.field)} {p.reason}." for p in problems)


def show_empty(icon: str, title: str, what: str) -> None:
    """The place where something will be, and what puts it there."""
    with st.container(border=True, horizontal_alignment="center", gap="xsmall"):
        st.space("small")
        st.markdown(f"# {icon}", text_alignment="center", width="content")
        st.subheader(title, text_alignment="center", anchor=False)
        st.caption(what, text_alignment="center")
        st.space("small")


def picture_bytes(store: Store, digest: str) -> bytes | None:
    """The stored file; a message in its place and None where it is damaged or gone."""
    try:
        return store.image_bytes(digest)
    except StoreError as error:
        show_error("This picture cannot be shown", str(error))
        return None


def show_unreadable(store: Store) -> None:
    """Names what is stored and cannot be read; nothing where there is nothing of the kind."""
    found = store.unreadable()
    for kind in dict.fromkeys(one.kind for one in found):
        of_kind = [one for one in found if one.kind == kind]
        nouns = kind if len(of_kind) == 1 else f"{kind}s"
        named = [f"{one.name[:16]}: {one.reason}" for one in of_kind[:MOST_NAMED]]
        if len(of_kind) > MOST_NAMED:
            named.append(f"and {len(of_kind) - MOST_NAMED} more")
        show_warning(
            f"{len(of_kind)} {nouns} cannot be read",
            "\n\n".join(named),
            "Everything else is shown, and the files are kept.",
        )


def show_picture(data: bytes, image: StoredImage, *, longest: int | None = None) -> None:
    """The stored bytes as they are; `longest` is the longer side on the screen in pixels."""
    settings = image.settings
    st.image(
        data,
        width=display_width(settings.width, settings.height, longest) if longest else "stretch",
        output_format="PNG",
        alt=settings.prompt or "A picture without a prompt",
    )


def display_width(width: int, height: int, longest: int) -> int:
    """The width on the screen at which the longer side has `longest` pixels."""
    return round(longest * width / max(width, height))


def ago(timestamp: float, *, now: float | None = None) -> str:
    """How long ago, in words: "just now", "5 minutes ago", "3 days ago"."""
    seconds = max(0.0, (time.time() if now is None else now) - timestamp)
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {word}{'s' if count > 1 else ''} ago"
    return "just now"


def duration(seconds: float, *, rough: bool = False) -> str:
    """Seconds as a person says them: 0.84 s, 12 s, 3 min 20 s; `rough` in whole ones from 1 s."""
    if seconds < 10 and not rough:
        return f"{seconds:.2f} s"
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s"
