"""The prompt box, and how many tokens of the prompt are read."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.diffusion.models.files.tokenizers import Tokenizer
from core.diffusion.models.load import ModelInfo, describe
from core.diffusion.models.lora.files import list_loras
from core.diffusion.recipe.limits import MAX_TEXT
from core.diffusion.recipe.prompt.foreign import foreign_words
from core.diffusion.recipe.prompt.lora_text import Lora, LoraError, loras_text, parse_loras
from core.diffusion.recipe.prompt.marks import MarkError, Marks
from core.diffusion.recipe.prompt.texts import every_text
from core.diffusion.recipe.prompt.weights import BREAKS, plain_text
from core.diffusion.recipe.prompt.wildcards import Wildcards
from core.diffusion.recipe.settings_table import PROMPTS, label_of
from core.output.texts.a1111.prompt_words import take_loras
from ui.help import links_of_setting
from ui.links import BOUND
from ui.runtime import tokenizer
from ui.settings.controls import key
from ui.settings.wildcards import show_wildcards
from ui.views import plain, show_warning

MOST_UNKNOWN = 4
"""Unknown words named beside the prompt."""
MOST_TEXTS = 6
"""Texts of a prompt that changes whose tokens are shown."""
SYNTAX = (
    "(word:1.3) weighs a word. [red:blue:0.5] changes it after half of the steps, [red:blue:8] "
    "after step 8; [cow|horse] takes turns. BREAK begins a part that is read by itself; AND adds "
    "up prompts: a cat AND a dog :0.5."
)


@dataclass(frozen=True, kw_only=True)
class PromptPlaces:
    """Where a prompt box says what becomes of its texts: the count in its line, the rest below."""

    line: DeltaGenerator
    below: DeltaGenerator


def prompt_box(model: ModelInfo, *, on_click: Callable[[], None]) -> PromptPlaces:
    """The prompt with its button; returns the places for `count_tokens`."""
    with st.container(border=True, gap="small"):
        st.text_area(
            "Prompt",
            key=key("prompt"),
            height=76,
            placeholder="Describe the picture, then press Ctrl+Enter",
            label_visibility="collapsed",
            **BOUND,
        )
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button(
                "Generate",
                key="generate:go",
                type="primary",
                icon=":material/photo_camera:",
                shortcut="Ctrl+Enter",
                on_click=on_click,
            )
            if model.example_prompts:
                st.menu_button(
                    "Examples",
                    model.example_prompts,
                    key="generate:example",
                    icon=":material/lightbulb:",
                    on_click=_use_example,
                )
            line = st.container(width="content")
        return PromptPlaces(line=line, below=st.container())


def count_tokens(
    places: PromptPlaces, source: str, prefix: str, wildcards: Wildcards, *, warns: bool = True
) -> None:
    """How many tokens the prompt has for the model of `source`, which, and what its text encoder
    never sees; `warns` says the same of every text of the page. A text with choices or wildcards
    is looked at as the page's seed draws it. Raises ModelError.
    """
    prompt: str = st.session_state.get(key("prompt", prefix)) or ""
    if len(prompt) > MAX_TEXT:  # counting it would take seconds, at every run of the page
        places.line.caption(f"{len(prompt):,} characters; up to {MAX_TEXT:,} are read")
        return
    info = describe(source)
    row = places.line.container(horizontal=True, gap="small", width="content")
    counter = tokenizer(info.folder)
    marks, typed = Marks(wildcards.lines), prompt
    prompt = _drawn(marks, "prompt", prefix)
    steps = int(st.session_state.get(key("num_inference_steps", prefix)) or 1)
    texts = every_text(prompt, steps)
    count = max(counter.count(text) for _, text in texts)
    lost = any(counter.cut_off(text) for _, text in texts)
    with row.popover(
        f":red[{count} of {counter.limit} tokens]"
        if lost
        else f"{count} of {counter.limit} tokens",
        type="tertiary",
        icon=":material/content_cut:" if lost else None,
    ):
        st.caption("The pieces that the text encoder reads. Commas and endings count too.")
        if prompt != typed:
            st.caption("Of the words that this seed draws.")
        for when, text in texts[:MOST_TEXTS]:
            if len(texts) > 1:
                st.caption(f"Steps {when}" if when else "All steps")
            _show_tokens(counter, text)
        if len(texts) > MOST_TEXTS:
            st.caption(f"and {len(texts) - MOST_TEXTS} more texts")
        if lost:
            st.caption("What is red is cut off: the text encoder never sees it.")
        st.caption(SYNTAX)
        st.caption(links_of_setting("prompt"))
    show_vocabulary(row, info, BREAKS.sub(" ", " ".join(text for _, text in texts)))
    show_wildcards(row, wildcards)
    with places.below:
        if warns:
            _warn(counter, marks, prefix)
        _offer_loras(typed, prefix)


def _show_tokens(counter: Tokenizer, text: str) -> None:
    """The tokens of one text, each chunk on a line of its own; red is what is cut off."""
    lines: list[str] = []
    for chunk in BREAKS.split(text):
        words = (
            token.text + (f" ×{token.weight:g}" if token.weight != 1 else "")
            for token in counter.tokens(chunk)
        )
        lines.append(" · ".join(itertools.islice(words, counter.limit)) or "–")
    if lost := counter.cut_off(text):
        st.markdown(f"{plain(' BREAK '.join(lines))} :red-background[{plain(lost)}]")
    else:
        st.code("\n".join(lines), wrap_lines=True)


def _drawn(marks: Marks, field: str, prefix: str) -> str:
    """A text of the page as its seed draws it, 0 for a random one; as typed where it cannot be."""
    text: str = st.session_state.get(key(field, prefix)) or ""
    seed: int = st.session_state.get(key("seed", prefix)) or 0
    with suppress(MarkError):
        return marks.draw(text, seed=max(0, seed), name=field).text
    return text


def _warn(counter: Tokenizer, marks: Marks, prefix: str) -> None:
    """What is not read of every text of the page, or not as it is meant."""
    steps = int(st.session_state.get(key("num_inference_steps", prefix)) or 0)
    for field in PROMPTS:
        typed: str = st.session_state.get(key(field, prefix)) or ""
        if len(typed) > MAX_TEXT:
            continue
        if problems := marks.problems(typed):
            title = f"The {label_of(field).lower()} cannot be drawn"
            show_warning(title, "\n\n".join(f"{one[:1].upper()}{one[1:]}." for one in problems))
        text = _drawn(marks, field, prefix)
        told = every_text(text, steps, field)
        if lost := ", ".join(filter(None, (counter.cut_off(one) for _, one in told))):
            show_warning(
                f"The {label_of(field).lower()} is too long",
                f"The text encoder reads {counter.limit} tokens and never sees: {lost}",
                "Shorten it, or put what matters first.",
            )
        if words := foreign_words(text, field, steps):
            show_warning("Not read as a mark", f"The {label_of(field).lower()} {words}.")


def _offer_loras(prompt: str, prefix: str) -> None:
    """One click from `<lora:name:weight>` in the prompt to the setting, for those that are here."""
    _, found, _ = take_loras(prompt, list_loras)
    if not found:
        return
    text = loras_text(Lora(name=name, weight=weight) for name, weight in found.items())
    st.button(
        f"Use as LoRA: {plain(text)}",
        key=f"{prefix}:take_loras",
        icon=":material/input:",
        on_click=_take_loras,
        args=(prefix,),
    )


def _take_loras(prefix: str) -> None:
    """A callback: moves the LoRAs that are here from the prompt to the setting, which keeps its
    others.
    """
    prompt: str = st.session_state.get(key("prompt", prefix)) or ""
    rest, found, notes = take_loras(prompt, list_loras)
    try:
        before = parse_loras(st.session_state.get(key("loras", prefix)) or "")
    except LoraError:
        before = ()
    kept = [lora for lora in before if lora.name not in found]
    taken = [Lora(name=name, weight=weight) for name, weight in found.items()]
    st.session_state[key("loras", prefix)] = loras_text([*kept, *taken])
    st.session_state[key("prompt", prefix)] = rest.strip()
    for note in notes:
        st.toast(plain(note))


def limits_of(info: ModelInfo) -> str:
    """What a small model draws and what it does not, in two sentences; "" where its words are not
    known.
    """
    known = info.vocabulary
    if known is None:
        return ""
    return (
        f"{info.name} draws one of {len(known.objects)} objects on a plain background, "
        f"{info.default_width} × {info.default_height} pixels, in these styles: "
        f"{', '.join(known.styles)}. Of two objects it draws one or a mixture; numbers mean "
        "nothing to it, and most other words are ignored."
    )


def show_vocabulary(place: DeltaGenerator, info: ModelInfo, read: str) -> None:
    """The words that a small model has never learned, those that it has, and its limits."""
    if info.vocabulary is None:
        return
    vocabulary, name = info.vocabulary, info.name
    unknown = vocabulary.unknown(plain_text(read))
    shown = ", ".join(unknown[:MOST_UNKNOWN]) + (", …" if len(unknown) > MOST_UNKNOWN else "")
    with place.popover(
        plain(f"Unknown: {shown}") if unknown else "Vocabulary",
        type="tertiary",
        icon=":material/help:" if unknown else ":material/dictionary:",
    ):
        if unknown:
            st.caption(plain(f"{name} has never learned these words."))
        st.caption(plain(limits_of(info)))
        st.caption("What it draws, with a style and on a background:")
        st.text(", ".join(vocabulary.objects))
        for title, words in (
            ("Styles", vocabulary.styles),
            ("Backgrounds", vocabulary.backgrounds),
            ("Sizes", vocabulary.sizes),
        ):
            if words:
                st.caption(title)
                st.text(", ".join(words))


def _use_example() -> None:
    st.session_state[key("prompt")] = st.session_state["generate:example"]
