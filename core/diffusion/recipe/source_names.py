"""What a person calls a source picture, by its digest: the names of the files it was read from.

A setting holds the digest alone, which says nothing on a label. The names are of this program: a
store that is opened brings those of its sources.
"""

from __future__ import annotations

MOST = 60
"""Characters of a name: more is no label."""

_names: dict[str, str] = {}


def plain_name(text: str) -> str:
    """A file's name as one short line, without its folders; "" where nothing is left of it."""
    last = text.replace("\\", "/").rstrip("/").rpartition("/")[2]
    line = " ".join("".join(c if c.isprintable() else " " for c in last).split())
    return line if len(line) <= MOST else f"{line[: MOST - 1]}…"


def remember_name(digest: str, name: str) -> None:
    """Call a source by this name from now on; "" changes nothing."""
    if found := plain_name(name):
        _names[digest] = found


def knows_name(digest: str) -> bool:
    """Return whether a source has a name here."""
    return digest in _names


def shown_source(digest: str) -> str:
    """The name of a source, else the first digits of its digest."""
    return _names.get(digest, digest[:12]) or "(none)"
