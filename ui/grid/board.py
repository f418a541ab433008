"""Board: a sweep's cells with what is known of each now: the one thing every view looks at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.exports.sweep import NOT_COMPUTED
from core.runs.queue.jobs import DELETED, Cell, Job
from core.runs.store.store import Store
from core.sweeps.plan import Plan
from core.sweeps.sweep import Sweep, SweepCell
from ui.grid.state import GridState
from ui.runtime import Runtime

CellState = Literal["done", "running", "pending", "failed", "cancelled", "missing"]


@dataclass(frozen=True, kw_only=True)
class BoardCell:
    """One place of the grid. `twin` is the index of the earlier cell that is the same image."""

    index: int
    at: SweepCell
    digest: str
    state: CellState
    job_cell: Cell | None
    twin: int | None

    @property
    def place(self) -> tuple[int, int, int]:
        return self.at.x, self.at.y, self.at.z

    @property
    def reason(self) -> str:
        return self.job_cell.reason if self.job_cell else ""

    @property
    def is_deleted(self) -> bool:
        """Its picture was made and is gone: Run computes it again."""
        return self.state == "missing" and self.reason == DELETED

    @property
    def progress(self) -> float:
        """The part of the denoising that is done, while it runs."""
        if self.state != "running" or self.job_cell is None:
            return 0.0
        return min(1.0, self.job_cell.step / max(1, self.job_cell.total_steps))


@dataclass(frozen=True, kw_only=True)
class Board:
    """A sweep without problems, laid out; `cells` in the plan's order. `state` is what its page
    remembers of it.
    """

    state: GridState
    sweep: Sweep
    plan: Plan
    cells: tuple[BoardCell, ...]
    job: Job | None

    @property
    def is_running(self) -> bool:
        return self.job is not None and not self.job.is_over

    def page(self, z: int) -> list[BoardCell]:
        return [cell for cell in self.cells if cell.at.z == z]

    def done(self) -> list[BoardCell]:
        return [cell for cell in self.cells if cell.state == "done"]

    def repeated_reasons(self) -> set[str]:
        """Return why cells failed, where several failed for the same."""
        counts = Counter(cell.reason for cell in self.cells if cell.state == "failed")
        return {reason for reason, count in counts.items() if count > 1}

    def cell_at(self, x: int, y: int, z: int) -> BoardCell | None:
        columns, rows, pages = self.sweep.shape()
        if not (0 <= x < columns and 0 <= y < rows and 0 <= z < pages):
            return None
        return self.cells[(z * rows + y) * columns + x]

    def values_of(self, cell: BoardCell) -> str:
        """ "Guidance scale 3 · Seed 1"."""
        places = {"x": cell.at.x, "y": cell.at.y, "z": cell.at.z}
        return " · ".join(
            f"{axis.label()} {axis.whole_value(places[side])}"
            for side, axis in self.sweep.axes().items()
        )


def make_board(
    store: Store,
    state: GridState,
    sweep: Sweep,
    plan: Plan,
    job: Job | None,
    job_cells: Sequence[Cell],
) -> Board:
    """The state of each cell: stored, else as its job says, else missing."""
    stored = store.holds(plan.digests)
    by_digest = {cell.digest: cell for cell in job_cells if cell.digest}
    cells: list[BoardCell] = []
    for index, (at, digest) in enumerate(zip(plan.cells, plan.digests, strict=True)):
        job_cell = by_digest.get(digest)
        cells.append(
            BoardCell(
                index=index,
                at=at,
                digest=digest,
                state="done" if digest in stored else _state_of(job_cell),
                job_cell=job_cell,
                twin=plan.merged.get(index),
            )
        )
    return Board(state=state, sweep=sweep, plan=plan, cells=tuple(cells), job=job)


def board_of(
    runtime: Runtime, state: GridState, sweep: Sweep, plan: Plan, job: Job | None
) -> Board:
    """The board of a page's sweep and of the job that computes it, as they are now."""
    cells = runtime.queue.cells(job.id) if job else []
    return make_board(runtime.store, state, sweep, plan, job, cells)


def reason_of(cell: BoardCell) -> str:
    """Why an export has no picture of a cell; "" where it has one."""
    if cell.state == "done":
        return ""
    if cell.state == "failed" or cell.is_deleted:
        return cell.reason
    return NOT_COMPUTED


def _state_of(cell: Cell | None) -> CellState:
    """A cell whose picture was deleted since is missing: it can be computed again."""
    if cell is None or cell.reason == DELETED or cell.state == "done":
        return "missing"
    return cell.state
