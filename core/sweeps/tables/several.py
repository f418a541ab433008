"""Several settings at once as one value of an axis: "steps=10; seed=3"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from core.diffusion.recipe.problems import Problem
from core.diffusion.recipe.setting import AxisError
from core.diffusion.recipe.settings_table import SETTINGS, label_of
from core.diffusion.settings import GenerationSettings
from core.sweeps.axis_row import AxisRow
from core.sweeps.tables.named_values import find_setting, no_setting, read_setting, write_setting

BASE = "Base settings"
"""The label of a value that changes nothing."""

_ITEM = re.compile(r'([^=;"]*)=\s*(?:"((?:[^"]|"")*)"\s*(?=;|$)|([^;]*))(?:;|$)')
_ESCAPES = {"\n": r"\n", "\r": r"\r", "\\": r"\\"}
_ESCAPED = {text: character for character, text in _ESCAPES.items()}


@lru_cache(maxsize=4096)
def parse_several(text: str) -> Mapping[str, Any]:
    """Setting -> value, in the order in which they are written; each by its name or label.

    A value with a semicolon, a quote, a line end or spaces around it stands in double quotes, in
    which a quote is doubled and \\n is a line end. An empty text changes nothing. Raises AxisError
    that names everything wrong at once.
    """
    found: dict[str, Any] = {}
    problems: list[str] = []
    place = 0
    while place < len(text):
        match = _ITEM.match(text, place)
        if match is None:
            end = text.find(";", place)
            item = text[place : end if end >= 0 else len(text)]
            if item.strip():
                problems.append(f"{item.strip()!r} is not a setting and its value: steps=10")
            place += len(item) + 1
            continue
        place = match.end()
        name, value = match[1].strip(), (match[3] or "").strip()
        if match[2] is not None:
            value = re.sub(r"\\[nr\\]", lambda one: _ESCAPED[one[0]], match[2].replace('""', '"'))
        row = find_setting(name)
        if row is None:
            problems.append(f"{name!r} {no_setting(name)}")
        elif row.name in found:
            problems.append(f"{row.label} is given twice")
        else:
            try:
                found[row.name] = read_setting(row, value)
            except ValueError as error:
                problems.append(f"{row.label}: {error}")
    if problems:
        raise AxisError("; ".join(problems))
    return MappingProxyType(found)


def format_several(values: Mapping[str, Any]) -> str:
    """A text that `parse_several` reads back as exactly these values."""
    return "; ".join(f"{name}={_written(value)}" for name, value in values.items())


def _written(value: Any) -> str:
    text = write_setting(value)
    is_plain = text != "" and text == text.strip() and not re.search(r'[;"\n\r]', text)
    if not isinstance(value, str) or is_plain:
        return text
    escaped = re.sub(r"[\\\n\r]", lambda one: _ESCAPES[one[0]], text)
    return '"' + escaped.replace('"', '""') + '"'


class SeveralRow(AxisRow):
    """The axis whose values name several settings each."""

    def changes(self, values: Sequence[Any]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for value in values for name in _known(value)))

    def judged(self, value: Any) -> tuple[str, ...]:
        return tuple(name for name in _known(value) if not SETTINGS[name].is_relative)

    def common(self, name: str, text: str, values: Sequence[Any]) -> str:
        """Where all values say the same of a setting, that; no label then says it."""
        told = {_known(value).get(name) for value in values}
        return SETTINGS[name].told(told.pop()) if len(told) == 1 and None not in told else ""

    def label_at(self, values: tuple[Any, ...], index: int) -> str:
        return _labels(values)[index]

    def reason(self, problem: Problem) -> str:
        return f"{label_of(problem.field)}: {problem.reason}"


def _known(value: Any) -> Mapping[str, Any]:
    """What a value names; nothing of one that cannot be read, which `apply` says."""
    try:
        return parse_several(value)
    except AxisError:
        return {}


def _apply(settings: GenerationSettings, value: str, first: str) -> GenerationSettings:
    return replace(settings, **parse_several(value))


def _show(value: str) -> str:
    try:
        return _told(parse_several(value))
    except AxisError:
        return value


def _told(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{label_of(name)} {SETTINGS[name].shown(v)}" for name, v in values.items())


@lru_cache(maxsize=32)
def _labels(values: tuple[str, ...]) -> tuple[str, ...]:
    """What differs between the values, of each: the rest is said once, in the legend."""
    read = [_known(value) for value in values]
    named = dict.fromkeys(name for one in read for name in one)
    apart = [n for n in named if len({repr(one.get(n)) for one in read}) > 1] or list(named)
    apart.sort(key=lambda name: SETTINGS[name].is_prompt)  # where a long label is cut, its end goes
    return tuple(_told({n: one[n] for n in apart if n in one}) or BASE for one in read)


SEVERAL = SeveralRow(
    name="settings",
    label="Settings",
    field="",
    kind=str,
    apply=_apply,
    show=lambda value: _show(value) or BASE,
    examples="steps=5; guidance_scale=2, steps=20; guidance_scale=6",
    note="Several settings at once, by their names or labels: steps=10; seed=3. A text with a "
    'semicolon is put in quotes: prompt="a; b". A table of settings is such a list.',
)
