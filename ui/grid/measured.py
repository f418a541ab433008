"""The measures of a grid's pictures: what is kept of them, the rest measured by a task."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from core.diffusion.settings import GenerationSettings
from core.exports.measuring import Known, known_of
from core.runs.store.measured.kept import Pair
from ui.grid.board import Board
from ui.runs.tasks import await_task, request_of
from ui.runtime import Runtime


def await_measures(runtime: Runtime, board: Board, pairs: Sequence[Pair] = ()) -> Known | None:
    """What is measured of each finished picture, of pairs of them, and what CLIP sees; a progress
    line and None until it is there.
    """
    model = board.sweep.base.model
    digests = list(dict.fromkeys(cell.digest for cell in board.done()))
    known = known_of(runtime.store, digests, pairs, model=model)
    if known.is_whole:
        return known
    lacking = {
        *known.lacking,
        *known.unseen,
        *(one for pair in known.lacking_pairs for one in pair),
    }
    request = request_of(
        "measures",
        GenerationSettings(model=model),
        digests=known.lacking,
        pairs=known.lacking_pairs,
        unseen=known.unseen,
        stamp=_stamp(runtime, lacking),
    )
    if await_task(runtime, request) is None:
        return None
    return known_of(runtime.store, digests, pairs, model=model)


def _stamp(runtime: Runtime, digests: set[str]) -> str:
    """A digest of the files: pictures that were computed again are measured again."""
    parts = [
        f"{image.digest}{image.created_at}{image.has_trajectory}"
        for digest in sorted(digests)
        if (image := runtime.store.get(digest)) is not None
    ]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]
