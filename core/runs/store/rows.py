"""Rows that another version wrote, or a failing disk changed: what can be read of them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

from core.diffusion.settings import GenerationSettings, SettingsError

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError)
"""What reading something of a wrong form may raise."""


class RowError(ValueError):
    """A row that cannot be read; the message says why, for a person."""


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """Something stored that this version cannot read, and why. Its file is kept."""

    kind: Literal["picture", "saved sweep"]
    name: str
    reason: str


def read_settings(stored: object) -> GenerationSettings:
    """Settings from a column of JSON. Raises RowError."""
    try:
        return GenerationSettings.from_dict(read_object(stored, "settings"))
    except RowError:
        raise
    except SettingsError as error:
        raise RowError(f"its settings are of another version, or damaged ({error})") from None
    except UNREADABLE as error:
        raise RowError(f"its settings are damaged ({_first(error)})") from None


def read_runnable(stored: object) -> GenerationSettings:
    """Settings that this version could run, whether or not their LoRAs are here. Raises RowError.

    Pages look up the scheduler and divide by the size: what was never valid is damage.
    """
    settings = read_settings(stored)
    if problems := settings.validate(vae_scale_factor=1):
        raise RowError(f"its settings are of another version, or damaged ({problems[0]})")
    return settings


def read_object(stored: object, what: str) -> dict[str, Any]:
    """A JSON object of a column. Raises RowError."""
    try:
        found: Any = json.loads(read_text(stored, what))
    except (ValueError, RecursionError):
        raise RowError(f"its {what} are damaged: no JSON") from None
    if not isinstance(found, dict):
        raise RowError(f"its {what} are damaged: no JSON object")
    return found


def read_text(stored: object, what: str) -> str:
    """The text of a column. Raises RowError."""
    if not isinstance(stored, str):  # bytes: what is no UTF-8
        raise RowError(f"its {what} is damaged: no text")
    return stored


def read_number(stored: object, what: str) -> float:
    """The finite number of a column, as it is. Raises RowError."""
    if not isinstance(stored, int | float) or not math.isfinite(stored):
        raise RowError(f"its {what} is damaged: no number")
    return stored


def read_whole(stored: object, what: str) -> int:
    """The whole number of a column. Raises RowError."""
    if not isinstance(stored, int):
        raise RowError(f"its {what} is damaged: no whole number")
    return stored


def _first(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
