"""A "parameters" text -> its prompt, its negative prompt, and its keys with their values.

AUTOMATIC1111's web UI writes a prompt, a line "Negative prompt: ..." and a line "Steps: 20,
Sampler: ..., Seed: ..." (`modules/infotext_utils.py`). Others write it on one line, with carriage
returns, with `|` between the keys, with JSON as a value. What the keys mean here is for others to
say. Every letter is looked at a fixed number of times: a text is a stranger's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.output.texts.sampler_names import web_ui_names

_KEYS: Mapping[str, str] = {
    name.lower(): name
    for name in (
        "Steps",
        "Sampler",
        "Schedule type",
        "CFG scale",
        "CFG Rescale",
        "Seed",
        "Size",
        "Model",
        "Model hash",
        "Variation seed",
        "Variation seed strength",
        "Denoising strength",
        "Clip skip",
        "RNG",
        "Version",
    )
} | {
    "scheduler": "Schedule type",
    "schedule": "Schedule type",
    "guidance scale": "CFG scale",
    "cfg": "CFG scale",
    "cfgscale": "CFG scale",
    "sampling steps": "Steps",
}
"""Keys in any case, and what other tools call them -> the web UI's."""

_BEGINS = re.compile(rf"[ \t]*+(?:{'|'.join(map(re.escape, _KEYS))})[ \t]*:", re.I)
_INLINE = re.compile(r"Steps:[ \t]{0,4}\d{1,6}(?:\.\d{1,6})?[ \t]{0,4}[,|][ \t]{0,4}\w", re.I)
_STEPS = re.compile(r"[ \t]*+Steps:[ \t]{0,4}\d{1,6}(?:\.\d{1,6})?[ \t]*(?:([,|])|$)", re.I | re.M)
_A_KEY = r"[ \t]*+(\w[\w \-/.()]{0,60}?)[ \t]{0,4}:[ \t]*+"
_KEY = re.compile(_A_KEY)
_NEXT: Mapping[str, re.Pattern[str]] = {
    separator: re.compile(rf"\n|{re.escape(separator)}{_A_KEY}") for separator in ",|"
}
_LATER_KEY = re.compile(r"[ \t]*+(\w[\w \-/]{1,60}):")
_QUOTED = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.S)
_AFTER = re.compile(r"[ \t]*+(?=[,|\n]|\Z)")
_NEGATIVE = re.compile(r"^[ \t]*+Negative prompt:", re.I | re.M)
_NEGATIVE_INLINE = re.compile(r"Negative prompt:", re.I)
_MOST_FAILURES = 16
"""Unclosed quotes and broken JSON that are looked through to the end before no more are."""


@dataclass(frozen=True, kw_only=True)
class ParametersText:
    """A text taken apart. `fields` maps keys to values, the first of each key, in their order;
    it is empty where the text holds prompts alone.
    """

    prompt: str
    negative_prompt: str
    fields: Mapping[str, str]


def take_apart(text: str) -> ParametersText | None:
    """The parts of a text, or None for one with neither settings nor a negative prompt.

    Keys and values are the web UI's: "steps: 20.0" is "Steps": "20".
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n\x00")
    reader = _Reader(text)
    lines = reader.settings_lines()
    if lines:
        begin, fields, end = lines[-1]
        prompts, is_inline = text[:begin], False
        fields.extend(_below(text, end))
    elif (begin := reader.inline()) is not None:
        fields, end = reader.fields(begin)
        prompts, is_inline = _without_dot(text[:begin]), True
        fields.extend(_below(text, end))
    elif _NEGATIVE.search(text):
        prompts, is_inline, fields = text, False, []
    else:
        return None
    prompt, negative = _split_prompts(prompts, is_inline)
    return ParametersText(prompt=prompt, negative_prompt=negative, fields=_normalised(fields))


class _Reader:
    """Reads fields from any place of one text, and skips quotes and JSON whole."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.skipped: list[tuple[int, int]] = []
        self._failures = 0
        self._json = json.JSONDecoder()

    def settings_lines(self) -> list[tuple[int, list[tuple[str, str]], int]]:
        """Begin, fields and end of each line of settings; a quoted value may hold line ends.

        A line of settings begins with a key and has three keys, the steps or the sampler among
        them; two are enough where it begins with a number of steps.
        """
        found: list[tuple[int, list[tuple[str, str]], int]] = []
        at = 0
        while at < len(self.text):
            if _BEGINS.match(self.text, at):
                fields, end = self.fields(at)
                keys = {_canonical(key) for key, _ in fields}
                least = 2 if _STEPS.match(self.text, at) else 3
                if len(keys) >= least and keys & {"Steps", "Sampler"}:
                    found.append((at, fields, end))
                at = end
            newline = self.text.find("\n", at)
            at = len(self.text) if newline < 0 else newline + 1
        return found

    def inline(self) -> int | None:
        """Return where the settings begin that follow the prompt on its own line: the last such
        place outside quotes and JSON.
        """
        starts = [match.start() for match in _INLINE.finditer(self.text)]
        if not starts:
            return None
        self.skipped.clear()
        at = starts[0]
        while at < len(self.text):
            _, at = self.fields(at)
            at += 1
        spans = iter(self.skipped)
        begin, end = next(spans, (len(self.text), len(self.text)))
        last = starts[0]
        for start in starts:
            while start >= end and end < len(self.text):
                begin, end = next(spans, (len(self.text), len(self.text)))
            if not begin <= start < end:
                last = start
        return last

    def fields(self, at: int) -> tuple[list[tuple[str, str]], int]:
        """Keys and values from `at` to the end of the line, and where that is.

        A value reaches to the separator before the next key: others may stand inside it.
        """
        steps = _STEPS.match(self.text, at)
        following = _NEXT[steps[1] if steps and steps[1] else ","]
        found: list[tuple[str, str]] = []
        key, end = _KEY.match(self.text, at), at
        while key:
            begin = key.end()
            after = following.search(self.text, self._value_begin(begin))
            end = after.start() if after else len(self.text)
            found.append((key[1], self.text[begin:end].strip()))
            key = after if after and after[1] else None
        newline = -1 if found else self.text.find("\n", at)
        return found, end if found else len(self.text) if newline < 0 else newline

    def _value_begin(self, at: int) -> int:
        """Return the place behind the quotes or the JSON that a value consists of; `at` where it
        is plain.
        """
        end = self._whole(at) if self.text[at : at + 1] in ('"', "{", "[") else None
        if end is None:
            return at
        if _AFTER.match(self.text, end):
            self.skipped.append((at, end))
            return end
        self._failures += 1
        return at

    def _whole(self, at: int) -> int | None:
        """The end of the quoted text or the JSON at `at`, or None where there is none."""
        if self._failures >= _MOST_FAILURES:
            return None
        if self.text.startswith('"', at):
            if quoted := _QUOTED.match(self.text, at):
                return quoted.end()
        else:
            try:
                return self._json.raw_decode(self.text, at)[1]
            except (ValueError, RecursionError):
                pass
        self._failures += 1
        return None


def _canonical(key: str) -> str:
    return _KEYS.get(key.strip().lower(), key.strip())


def _below(text: str, at: int) -> list[tuple[str, str]]:
    """Lines below the settings, as extensions add them: each is one value."""
    found: list[tuple[str, str]] = []
    for line in text[at:].split("\n"):
        if key := _LATER_KEY.match(line):
            found.append((key[1], line[key.end() :].strip()))
    return found


def _without_dot(prompts: str) -> str:
    """Some tools join the three parts by a full stop instead of a line break."""
    return prompts[:-1] if prompts.endswith(".") else prompts


def _split_prompts(text: str, is_inline: bool) -> tuple[str, str]:
    found = _NEGATIVE.search(text)
    if found is None and is_inline:
        found = _NEGATIVE_INLINE.search(text)
    if found is None:
        return text.strip(), ""
    prompt = text[: found.start()]
    return (_without_dot(prompt) if is_inline else prompt).strip(), text[found.end() :].strip()


def _normalised(fields: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in fields:
        name = _canonical(key)
        if name not in found:
            found[name] = _VALUES.get(name, str)(_unquote(value))
    if "Sampler" in found:
        sampler, schedule = web_ui_names(found["Sampler"], found.get("Schedule type", ""))
        found["Sampler"] = sampler
        if schedule:
            found["Schedule type"] = schedule
    return found


def _unquote(text: str) -> str:
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        value: object = json.loads(text)
    except ValueError:
        return text  # as the web UI leaves it
    return value if isinstance(value, str) else text


def _whole_number(text: str) -> str:
    match = re.fullmatch(r"([+-]?\d{1,20})\.0{0,20}", text)
    return match[1] if match else text


def _size(text: str) -> str:
    match = re.fullmatch(r"(\d{1,6})\s{0,4}[x×*]\s{0,4}(\d{1,6})", text, re.I)
    return f"{match[1]}x{match[2]}" if match else text


_VALUES: Mapping[str, Callable[[str], str]] = {
    "Steps": _whole_number,
    "Seed": _whole_number,
    "Variation seed": _whole_number,
    "Clip skip": _whole_number,
    "Size": _size,
}
