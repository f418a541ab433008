"""A setting by any of its names, and its value out of a text: for axes and tables of settings."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from core.diffusion.recipe.setting import Setting, plain_number
from core.diffusion.recipe.settings_table import SETTINGS

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+")
_LONGEST = 40
"""Characters of a number, or of a text that a message quotes."""


def _plain(name: str) -> str:
    """ "Guidance scale", "guidance-scale" and "guidance_scale" are one name."""
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())


_BY_NAME = {
    **{_plain(row.label): row for row in SETTINGS.values()},
    **{_plain(name): row for row in SETTINGS.values() for name in row.earlier},
    **SETTINGS,
}


def find_setting(name: str) -> Setting | None:
    """The setting of a name, a label or a name that it had before, in any case; None for others."""
    return _BY_NAME.get(_plain(name))


def no_setting(name: str) -> str:
    """Why a name is none of a setting, with the nearest that is one."""
    near = get_close_matches(_plain(name)[:_LONGEST], _BY_NAME, n=1)
    return "is not a setting" + (f"; did you mean {_BY_NAME[near[0]].label}?" if near else "")


def read_setting(row: Setting, text: str, *, decimal_comma: bool = False) -> Any:
    """The value of a setting that a text writes. Raises ValueError with what it should be.

    Only a prompt keeps the spaces around it. A choice is read in any case, and by the name that a
    link has for it. With `decimal_comma` 7,5 is 7.5 too, as in files of some spreadsheets.
    """
    if row.is_prompt:
        return text
    text = text.strip()
    if row.kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{_quoted(text)} is neither true nor false")
        return text.lower() == "true"
    if row.kind is str:
        return _choice(row, text)
    if decimal_comma and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    is_number = len(text) <= _LONGEST and _NUMBER.fullmatch(text) is not None
    if row.kind is float:
        if not is_number:
            raise ValueError(f"{_quoted(text)} is not a number")
        return float(text)
    if re.fullmatch(r"[+-]?[0-9]+", text) and is_number:
        return int(text)
    if is_number and float(text).is_integer():
        return int(float(text))  # a spreadsheet may write 10 as 10.0
    raise ValueError(f"{_quoted(text)} is not a whole number")


def write_setting(value: Any) -> str:
    """A text that `read_setting` reads back as this value."""
    return str(value).lower() if isinstance(value, bool) else plain_number(value)


def _choice(row: Setting, text: str) -> str:
    known = {
        **dict(zip((name.lower() for name in row.link_choices), row.choices, strict=False)),
        **{name.lower(): name for name in row.choices},
    }
    return known.get(text.lower(), text)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
