"""Ballots: the votes of blind tests. A test is named by its pictures, a voter by their browser.

A vote names pictures by digest, so that it outlives them: computed again, they are the same.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from core.output.preferences.votes import FIRST, SECOND, TIE, Vote
from core.runs.store.database import Database, StoreError


class Ballots:
    """The tables of votes and voters, for any thread and any number of voters at once. Raises
    StoreError.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def votes(self, test: str) -> list[Vote]:
        """Every vote of a test, oldest first."""
        sql = (
            "SELECT votes.*, created_at > COALESCE(seen_at, 1e18) AS informed FROM votes"
            " LEFT JOIN voters ON voters.test = votes.test AND voters.voter = votes.voter"
            " WHERE votes.test = ? ORDER BY id"
        )
        return [
            Vote(
                voter=row["voter"],
                first=row["first"],
                second=row["second"],
                choice=row["choice"],
                at=row["created_at"],
                informed=bool(row["informed"]),
            )
            for row in self._database.read(sql, (test,))
        ]

    def add(self, test: str, voter: str, first: str, second: str, choice: int) -> None:
        """Store a vote: `first` was shown on the left. It survives a power cut."""
        if choice not in (FIRST, SECOND, TIE) or first == second:
            raise StoreError("A vote chooses one of two pictures, or a tie.")
        with self._database.write(durable=True) as connection:
            connection.execute(
                "INSERT INTO votes (test, voter, first, second, choice, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (test, voter, first, second, choice, time.time()),
            )

    def undo(self, test: str, voter: str) -> tuple[str, str] | None:
        """Remove the voter's last vote; return its two pictures as they were shown."""
        with self._database.write(durable=True) as connection:
            row = connection.execute(
                "DELETE FROM votes WHERE id = (SELECT MAX(id) FROM votes WHERE test = ? AND"
                " voter = ?) RETURNING first, second",
                (test, voter),
            ).fetchone()
        return (row["first"], row["second"]) if row else None

    def finish(self, test: str, voter: str) -> None:
        """Note that a voter has seen the results: theirs are counted from now on."""
        with self._database.write(durable=True) as connection:
            connection.execute(
                "INSERT INTO voters VALUES (?, ?, 1, ?) ON CONFLICT (test, voter)"
                " DO UPDATE SET is_finished = 1",
                (test, voter, time.time()),
            )

    def go_on(self, test: str, voter: str) -> None:
        """Let a voter who has finished vote on; that they saw results is remembered."""
        with self._database.write(durable=True) as connection:
            connection.execute(
                "UPDATE voters SET is_finished = 0 WHERE test = ? AND voter = ?", (test, voter)
            )

    def finished(self, test: str) -> set[str]:
        """The voters who are through."""
        sql = "SELECT voter FROM voters WHERE test = ? AND is_finished = 1"
        return {row["voter"] for row in self._database.read(sql, (test,))}

    def delete(self, test: str, voter: str | None = None) -> int:
        """Delete the votes of one voter, or of all, for good; return how many there were."""
        who, values = ("", (test,)) if voter is None else (" AND voter = ?", (test, voter))
        with self._database.write(durable=True) as connection:
            found = connection.execute(f"DELETE FROM votes WHERE test = ?{who}", values)
            connection.execute(f"DELETE FROM voters WHERE test = ?{who}", values)
        return found.rowcount

    def about(self, digests: Collection[str]) -> int:
        """How many votes of all tests are about any of these pictures."""
        found: set[int] = set()
        for digest in set(digests):
            sql = "SELECT id FROM votes WHERE first = :digest UNION SELECT id FROM votes"
            rows = self._database.read(f"{sql} WHERE second = :digest", {"digest": digest})
            found |= {row["id"] for row in rows}
        return len(found)
