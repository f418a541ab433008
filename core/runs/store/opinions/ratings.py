"""Ratings: 0 to 5 stars and a favourite mark of a picture, and how pictures are found by them.

A picture has one rating for all who use the folder, as it has one place in the Gallery. It is kept
under the digest, in the index alone: a picture that is deleted and computed again has its stars
back, and an index that was lost takes them with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.runs.store.database import Database, StoreError

MOST_STARS = 5
FAVOURITES, UNRATED = "favourites", "unrated"
RATED: Mapping[str, str] = {
    FAVOURITES: "digest IN (SELECT digest FROM ratings WHERE favourite = 1)",
    UNRATED: "digest NOT IN (SELECT digest FROM ratings WHERE stars > 0)",
    **{
        str(stars): f"digest IN (SELECT digest FROM ratings WHERE stars >= {stars})"
        for stars in range(1, MOST_STARS + 1)
    },
}
"""What pictures are filtered by, as conditions: "3" is three stars or more."""

ORDERS: Mapping[str, str] = {
    "newest": "created_at",
    "oldest": "-created_at",
    # Stars first, then the mark; 1e11 seconds are later than every picture.
    "best": "created_at + 1e11 * COALESCE((SELECT 2 * stars + favourite FROM ratings"
    " WHERE ratings.digest = images.digest), 0)",
}
"""What pictures are sorted by, the largest first."""


@dataclass(frozen=True, kw_only=True)
class Rating:
    """What was said of one picture; 0 stars are none."""

    stars: int = 0
    is_favourite: bool = False

    def __str__(self) -> str:
        return "★" * self.stars + "♥" * self.is_favourite

    def is_among(self, rated: str) -> bool:
        """Whether one of RATED finds a picture of this rating. Raises KeyError for another."""
        if rated not in RATED:
            raise KeyError(rated)
        if rated in (FAVOURITES, UNRATED):
            return self.is_favourite if rated == FAVOURITES else not self.stars
        return self.stars >= int(rated)


class Ratings:
    """The table of ratings, for any thread. Raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, digest: str) -> Rating:
        """The rating of one picture."""
        return self.of_all([digest]).get(digest, Rating())

    def of_all(self, digests: Iterable[str]) -> dict[str, Rating]:
        """Digest -> rating, of those that have one."""
        sql = "SELECT * FROM ratings WHERE digest IN (SELECT value FROM json_each(?))"
        return {
            row["digest"]: Rating(stars=row["stars"], is_favourite=bool(row["favourite"]))
            for row in self._database.read(sql, (json.dumps(list(digests)),))
        }

    def rate(self, digests: Iterable[str], stars: int) -> None:
        """Give each of them so many stars; 0 removes them. Raises StoreError for other numbers."""
        if not 0 <= stars <= MOST_STARS:
            raise StoreError(f"A picture has 0 to {MOST_STARS} stars, not {stars}.")
        self._set(digests, "stars", stars)

    def mark(self, digests: Iterable[str], *, is_favourite: bool) -> None:
        """Make each of them a favourite, or none."""
        self._set(digests, "favourite", int(is_favourite))

    def _set(self, digests: Iterable[str], column: str, value: int) -> None:
        with self._database.write(durable=True) as connection:
            connection.executemany(
                f"INSERT INTO ratings (digest, {column}) VALUES (?, ?)"
                f" ON CONFLICT (digest) DO UPDATE SET {column} = excluded.{column}",
                [(digest, value) for digest in dict.fromkeys(digests)],
            )
