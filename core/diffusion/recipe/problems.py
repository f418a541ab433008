"""What is wrong with settings, in words for the person who typed them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Severity = Literal["error", "warning"]


class PromptReader(Protocol):
    """What `validate` needs of a tokenizer; `text_encoder.Tokenizer` is one."""

    def cut_off(self, prompt: str) -> str:
        """The end of `prompt` that the text encoder never sees ("" if it sees all)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong with one field, in words for the person who typed it."""

    field: str
    reason: str
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class SettingsError(ValueError):
    """Settings that cannot be run; `problems` names every bad field at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in problems))
