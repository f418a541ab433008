"""What a job's cells are in the table when it is submitted. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.diffusion.recipe.schedule import unet_calls
from core.diffusion.settings import GenerationSettings
from core.runs.queue.planned import Resolved, resolve
from core.runs.store.store import Store

if TYPE_CHECKING:
    from core.diffusion.models.load import ModelInfo


def new_cells(
    store: Store,
    describe: Callable[[str], ModelInfo],
    job_id: str,
    settings: Sequence[GenerationSettings],
    record: str,
) -> list[dict[str, Any]]:
    """The rows of a job's cells, each resolved; those that are stored already are done."""
    # Of one that is not here the worker says so, and fails its cells where loading fails too.
    resolved = resolve(settings, describe, store.inputs.read)
    cells = [_new_cell(job_id, position, one) for position, one in enumerate(resolved)]
    digests = [cell["digest"] for cell in cells if cell["digest"] is not None]
    stored = store.holds(digests, record)
    for cell in cells:
        if cell["digest"] in stored:
            cell.update(state="done", step=cell["total_steps"])
    return cells


def _new_cell(job_id: str, position: int, one: Resolved) -> dict[str, Any]:
    settings, planned = one.settings, one.planned
    total = unet_calls(
        replace(settings, snapshot=0), one.info.scheduler_config if one.info else None
    )
    written = json.dumps(settings.to_dict())
    return {
        "job_id": job_id,
        "position": position,
        "settings": written,
        "digest": planned.digest if planned else None,
        "model": settings.model,
        "width": settings.width,
        "height": settings.height,
        "state": "failed" if one.reason else "pending",
        "step": 0,
        "total_steps": 0 if one.reason else total,
        "reason": one.reason,
        "planned": planned.to_json(written) if planned else None,
    }
