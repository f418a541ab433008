"""The words of the captions: objects with their names, styles, backgrounds, filler."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STYLES = {"flat": "fluent-emoji-flat", "glossy": "fluent-emoji", "detailed": "noto"}

BACKGROUNDS = {  # sRGB; each scene moves every channel by at most JITTER
    "white": (248, 248, 248),
    "black": (18, 18, 20),
    "gray": (140, 140, 144),
    "red": (214, 40, 48),
    "orange": (245, 140, 30),
    "yellow": (250, 220, 60),
    "green": (52, 168, 83),
    "blue": (40, 100, 220),
    "purple": (130, 60, 180),
    "pink": (250, 165, 200),
}
JITTER = 7

SIZES = ("small", "large")
POSITIONS = (
    "and",
    "next to",
    "beside",
    "left of",
    "right of",
    "on the left",
    "on the right",
    "above",
    "below",
    "under",
    "on top of",
)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / name).read_text())


_GROUPS = _read("objects.toml")
_DRAWN: list[str] = _GROUPS.pop("drawn")  # groups of objects.toml
_TAUGHT: list[str] = _GROUPS.pop("taught")  # objects
_LEARNING: list[str] = _GROUPS.pop("learning")
FIRST: tuple[str, ...] = tuple(names.split(", ")[0] for names in _GROUPS["first"].values())
FILLER: dict[str, list[str]] = _read("filler.toml")

OBJECTS: dict[str, str] = {  # the icon's name in all three sets -> the object's usual name
    icon: names.split(", ")[0] for group in _DRAWN for icon, names in _GROUPS[group].items()
}
NAMES: dict[str, tuple[str, ...]] = {  # usual name -> all its names, the usual one first
    names.split(", ")[0]: tuple(names.split(", "))
    for group in _DRAWN
    for names in _GROUPS[group].values()
}
TAUGHT = frozenset({*FIRST, *_TAUGHT})  # what the model draws; any other word is filler to it
LEARNING = TAUGHT | {*_LEARNING}  # what the UNet is trained on
WITHOUT_ARTICLE = frozenset(  # last words that take no "a"
    (
        "grapes",
        "cherries",
        "noodles",
        "pasta",
        "spaghetti",
        "fire",
        "snow",
        "rain",
        "snowfall",
        "love",
        "thunder",
        "lightning",
        "fries",
        "chips",
        "sunglasses",
        "shades",
        "coffee",
        "tea",
        "beer",
        "wine",
        "bread",
        "toast",
        "money",
        "earth",
        "world",
        "space",
        "woods",
        "cattle",
        "cheese",
        "sushi",
        "gelato",
        "dusk",
        "sunshine",
        "eruption",
        "camping",
        "angry",
        "sad",
        "undead",
        "dracula",
        "superman",
        "santa",
        "claus",
        "christmas",
        "saturn",
        "universe",
    )
)


def every_name() -> list[str]:
    """The names of all groups, trained or not: the tokenizer has a token for each word."""
    return [
        name for group in _GROUPS.values() for names in group.values() for name in names.split(", ")
    ]


def untaught_names() -> list[str]:
    """The names of objects that the model does not draw: words to ignore, for now."""
    known = {name for noun in TAUGHT for name in NAMES[noun]}
    return [name for name in every_name() if name not in known]


def plural(name: str) -> str:
    """By the spelling rules alone: "puppies", "foxes", "cats"."""
    if name.endswith(("man", "woman")):
        return f"{name[:-2]}en"
    if name.endswith("y") and name[-2] not in "aeiou":
        return f"{name[:-1]}ies"
    if name.endswith(("s", "x", "ch", "sh")):
        return name if name.endswith("s") else f"{name}es"
    return f"{name}s"


def newcomers() -> list[tuple[str, tuple[str, ...]]]:
    """(prompt, the objects any of which answers it) of newcomers.txt, never trained on."""
    lines = (HERE / "newcomers.txt").read_text().splitlines()
    rows = [line.split(" | ") for line in lines if line and not line.startswith("#")]
    return [(prompt, tuple(asked.split(", "))) for prompt, asked in rows]
