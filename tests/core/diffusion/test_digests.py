"""Digests of today's settings, pinned over every field: a changed one orphans a stored picture."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from core.diffusion.settings import NUMERICS_VERSION, GenerationSettings

PINNED = json.loads(Path(__file__).with_name("digests.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("one", PINNED, ids=lambda one: json.dumps(one["settings"]))
def test_a_digest_stays(one: dict[str, object]) -> None:
    settings = {"prompt": "a red apple"} | dict(one["settings"])  # type: ignore[call-overload]
    assert NUMERICS_VERSION == 1
    assert GenerationSettings.from_dict(settings).digest("f") == one["digest"]


def test_every_field_is_pinned() -> None:
    """A new setting is pinned with its first release."""
    varied = {name for one in PINNED for name in one["settings"]}
    assert varied == {field.name for field in fields(GenerationSettings)}
