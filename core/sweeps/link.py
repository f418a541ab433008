"""A sweep as one word of an address, and back."""

from __future__ import annotations

import base64
import binascii
import json
import zlib

from core.diffusion.settings import SettingsError
from core.sweeps.axis import SweepError
from core.sweeps.sweep import Sweep

LONGEST = 200_000
"""Characters of a sweep's JSON: more is no sweep that an address could hold."""


def to_word(sweep: Sweep) -> str:
    """Letters, digits, "-" and "_": the sweep's JSON, deflated."""
    text = json.dumps(sweep.to_dict(), sort_keys=True, separators=(",", ":"))
    return base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")


def from_word(word: str) -> Sweep:
    """The sweep of `to_word`. Raises SweepError for anything else."""
    try:
        packed = base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))
        text = zlib.decompressobj().decompress(packed, LONGEST)
        return Sweep.from_dict(json.loads(text))
    except (binascii.Error, zlib.error, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, SweepError | SettingsError):
            raise SweepError(f"The sweep in the link cannot be read: {error}") from error
        raise SweepError("The sweep in the link cannot be read: it was cut short.") from error
