"""Contest: one sweep's blind test as one browser sees it now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from core.output.preferences.pairing import Pool
from core.output.preferences.votes import Design, Vote, design_of, key_of
from core.runs.store.opinions.ballots import Ballots
from core.runs.store.store import Store
from ui.grid.board import Board
from ui.runtime import Runtime, owner_id


@dataclass(frozen=True, kw_only=True, eq=False)
class Contest:
    """The pictures of a sweep, the votes on them, and who votes here."""

    board: Board
    store: Store
    ballots: Ballots
    voter: str

    @cached_property
    def key(self) -> str:
        """What the test is called in the store: the same for every browser with this sweep."""
        return key_of(self.board.plan.digests)

    @cached_property
    def design(self) -> Design:
        return design_of(self.board.sweep, self.board.plan)

    @cached_property
    def seeds(self) -> dict[str, int]:
        """Digest -> seed, of the pictures that are stored."""
        stored = self.store.holds(self.board.plan.digests)
        return {
            cell.digest: cell.at.settings.seed for cell in self.board.cells if cell.digest in stored
        }

    @cached_property
    def votes(self) -> list[Vote]:
        """Those of every voter, oldest first."""
        return self.ballots.votes(self.key)

    @property
    def own(self) -> list[Vote]:
        return [vote for vote in self.votes if vote.voter == self.voter]

    @property
    def on_deleted(self) -> list[Vote]:
        """The votes about pictures that are not stored any more."""
        return [vote for vote in self.votes if not {vote.first, vote.second} <= set(self.seeds)]

    @property
    def enough(self) -> int:
        """Roughly how many votes tell the values apart: ten for each that could be preferred."""
        return 10 * max(1, self.design.size - len(self.design.sides))

    def pool(self, *, same_seed: bool) -> Pool:
        return Pool(design=self.design, seeds=self.seeds, same_seed=same_seed)


def contest_of(runtime: Runtime, board: Board) -> Contest:
    return Contest(board=board, store=runtime.store, ballots=runtime.ballots, voter=owner_id())
