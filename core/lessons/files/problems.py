"""Problems of a lesson's file, found while its tables and texts are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.lessons.measured import Argument
from core.sweeps.sources import Keep


class Reader:
    """Reads parts of a file to their end and keeps each problem that it finds."""

    def __init__(self, path: Path, keep: Keep) -> None:
        self.path, self.keep = path, keep
        self.problems: list[str] = []

    def arguments(self, row: Mapping[str, Argument], values: Mapping[str, Any], at: str) -> None:
        """Say what is wrong with given arguments."""
        for name, value in values.items():
            if why := row[name].problem(value):
                self.problems.append(f"{at}{name}: {why}")

    def table(self, values: Mapping[str, Any], name: str, at: str = "") -> Mapping[str, Any]:
        """A table of the file, {} with a problem where there is none."""
        found = values.get(name, {})
        if not isinstance(found, Mapping):
            self.problems.append(f"{at}{name} must be a table")
            return {}
        if name not in values and name not in ("courses",):
            self.problems.append(f"{at}{name} is missing")
        return found

    def text(self, values: Mapping[str, Any], name: str, at: str, *, is_needed: bool = True) -> str:
        """A text of the file on one line, "" with a problem where there is none."""
        found = values.get(name, "")
        if not isinstance(found, str) or (is_needed and not found.strip()):
            self.problems.append(f"{at}{name}: a text is missing")
            return ""
        return " ".join(found.split())

    def unknown(self, values: Mapping[str, Any], known: Sequence[str], at: str) -> None:
        """Say which names nothing reads."""
        for name in values:
            if name not in known:
                self.problems.append(f"{at}{name} is none of {', '.join(known)}")
