"""Imports of `training` go one way, as its README's table says."""

from __future__ import annotations

import ast

from tests.contracts.sources import ROOT

ORDER = ("evaluate", "train", "results", "stages", "loop", "data")
"""From the top to the bottom; what stands in one room may import within it."""


def test_imports_of_the_training_go_down() -> None:
    wrong: list[str] = []
    for path in (ROOT / "training").rglob("*.py"):
        place = path.relative_to(ROOT / "training").with_suffix("").parts
        if "node_modules" in place or place == ("__init__",):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("training"):
                parts = (node.module or "").split(".")[1:]
                rooms = parts[:1] or [name.name for name in node.names]
                wrong += [
                    f"{'/'.join(place)} imports {room}"
                    for room in rooms
                    if ORDER.index(room) < ORDER.index(place[0])
                ]
    assert not wrong


def test_every_room_holds_few_modules() -> None:
    for room in ("", *ORDER[2:]):
        found = list((ROOT / "training" / room).glob("*.py"))
        assert 0 < len(found) <= 15, room
