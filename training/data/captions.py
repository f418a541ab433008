"""What a caption may say of a scene, and the words around it that say nothing.

A caption carries what it claims, so that the CLIP can know every picture of which it is true.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from training.data.scenes import Scene
from training.data.vocabulary import (
    BACKGROUNDS,
    FILLER,
    NAMES,
    POSITIONS,
    SIZES,
    STYLES,
    TAUGHT,
    WITHOUT_ARTICLE,
    every_name,
    newcomers,
    plural,
    untaught_names,
)

EMPTY = 0.10  # share of captions that say nothing, for guidance
ONLY_FILLER = 0.5  # share of these that are filler alone, the others ""
FULL = 0.60  # share that say object, style and background
FILLED = 0.5  # share of the others that have filler around
SYNONYM = 0.45  # how often an object goes by another name than its usual one
PLURAL = 0.08


FILL, NOUNS = "\ue000", ("\ue001", "\ue002")  # stand before each word of filler, of a name


@dataclass(frozen=True, kw_only=True)
class Caption:
    """`marked` is its text with FILL and NOUNS before the words that are filler and names."""

    marked: str
    claims: frozenset[str]  # "object cat", "style flat", "background blue", "layout beside"

    @property
    def text(self) -> str:
        return unmarked(self.marked)

    def is_true_of(self, scene: Scene) -> bool:
        return self.claims <= facts(scene)


def facts(scene: Scene) -> frozenset[str]:
    objects = {f"object {noun}" for noun in scene.nouns}
    looks = {f"style {scene.style}", f"background {scene.background}", f"layout {scene.layout}"}
    order = f"first {scene.nouns[0]}"
    return frozenset(objects | looks | {order})


def marked(text: str, mark: str) -> str:
    return " ".join(f"{mark}{word}" for word in text.split())


def unmarked(text: str) -> str:
    text = text.replace(f" {FILL},", ",")
    return text.translate({ord(mark): None for mark in (FILL, *NOUNS)})


FULL_FORMS = (  # {a:..} is a noun phrase with its article, where English wants one
    "{a_noun} on {a_background} background, {style} style",
    "{style} {noun}, {background} background",
    "{background} background, {style} {noun}",
    "{a_style_noun} on {background}",
    "{noun}, {style} style, {background} background",
    "{a_style} emoji of {a_noun} on {a_background} background",
)
PARTIAL_FORMS = {  # form -> weight
    "{noun}": 6,
    "{a_noun}": 8,
    "{a_noun} on {a_background} background": 4,
    "{noun}, {background} background": 2,
    "{a_style_noun}": 3,
    "{noun}, {style} style": 2,
    "{background} background": 1,
    "{style} style": 1,
}
TWO_FORMS = {
    "": ("{one} and {other}", "{one} next to {other}", "{one} with {other}", "{one}, {other}"),
    "beside": (
        "{one} on the left and {other} on the right",
        "{one} left of {other}",
        "{one} to the left of {other}",
        "{other} right of {one}",
        "{one} beside {other}",
        "left {one}, right {other}",
    ),
    "stacked": (
        "{one} above {other}",
        "{one} on top of {other}",
        "{one} over {other}",
        "{other} below {one}",
        "{other} under {one}",
        "{one} at the top, {other} at the bottom",
    ),
}


def random_caption(rng: random.Random, scene: Scene, *, plain: bool = False) -> Caption:
    """Any caption but the prompts of newcomers.txt, which stay unseen.

    `plain` ones have usual names and no filler: for a text encoder that knows no others yet.
    """
    if rng.random() < EMPTY:
        is_filler = not plain and rng.random() < ONLY_FILLER
        return Caption(marked=only_filler(rng) if is_filler else "", claims=frozenset())
    while True:
        caption = (_of_one if len(scene.items) == 1 else _of_two)(rng, scene, plain)
        if caption.text not in unseen():
            return caption


@cache
def unseen() -> frozenset[str]:
    return frozenset(prompt for prompt, _ in newcomers())


def _of_one(rng: random.Random, scene: Scene, plain: bool) -> Caption:
    item = scene.items[0]
    is_full = rng.random() < FULL
    form = (
        rng.choice(FULL_FORMS)
        if is_full
        else rng.choices(list(PARTIAL_FORMS), list(PARTIAL_FORMS.values()))[0]
    )
    noun = marked(item.noun if plain else name_of(rng, item.noun), NOUNS[0])
    if item.size_word and is_full and rng.random() < 0.5:
        noun = f"{item.size_word} {noun}"
    text = phrase(form, noun, scene.style, scene.background)
    if not (is_full or plain) and rng.random() < FILLED:
        text = filled(rng, text, noun)
    says = {"noun": f"object {item.noun}", "style": f"style {scene.style}"}
    says["background"] = f"background {scene.background}"
    return Caption(marked=text, claims=frozenset(says[k] for k in says if k in form))


def phrase(form: str, noun: str, style: str, background: str) -> str:
    """Fill in one of the forms for a single object."""
    return form.format(
        noun=noun,
        a_noun=with_article(noun),
        style=style,
        a_style=with_article(style),
        a_style_noun=with_article(f"{style} {noun}"),
        background=background,
        a_background=with_article(background),
    )


def _of_two(rng: random.Random, scene: Scene, plain: bool) -> Caption:
    says_where = rng.random() < 0.6
    form = rng.choice(TWO_FORMS[scene.layout if says_where else ""])
    text, claims = two(rng, form, scene, plain)
    if says_where:
        claims |= {f"layout {scene.layout}", f"first {scene.nouns[0]}"}
    if rng.random() < 0.4:
        text += f" on {with_article(scene.background)} background"
        claims.add(f"background {scene.background}")
    if rng.random() < 0.3:
        text += f", {scene.style} style"
        claims.add(f"style {scene.style}")
    if not plain and rng.random() < FILLED / 2:
        text = filled(rng, text, "")
    return Caption(marked=text, claims=frozenset(claims))


def two(rng: random.Random, form: str, scene: Scene, plain: bool) -> tuple[str, set[str]]:
    """One of TWO_FORMS with the scene's objects, and that it claims both."""
    names = [noun if plain else name_of(rng, noun) for noun in scene.nouns]
    nouns = [marked(name, mark) for name, mark in zip(names, NOUNS, strict=True)]
    if rng.random() < 0.8:
        nouns = [with_article(noun) for noun in nouns]
    text = form.format(one=nouns[0], other=nouns[1])
    return text, {f"object {noun}" for noun in scene.nouns}


def name_of(rng: random.Random, noun: str) -> str:
    """The usual name or another, now and then in the plural."""
    others = NAMES[noun][1:]
    name = rng.choice(others) if others and rng.random() < SYNONYM else noun
    is_counted = name.split()[-1] not in WITHOUT_ARTICLE
    return plural(name) if is_counted and rng.random() < PLURAL else name


def with_article(noun: str) -> str:
    words = unmarked(noun).split()
    last = words[-1]
    if last in WITHOUT_ARTICLE or (last.endswith("s") and not last.endswith(("ss", "us"))):
        return noun
    return f"{'an' if words[0][0] in 'aeiou' else 'a'} {noun}"


def filled(rng: random.Random, text: str, noun: str) -> str:
    """The caption among words that mean nothing, all marked: before, after, and as what English
    calls an adjective or a clause."""
    if noun and rng.random() < 0.4:
        adjective = rng.choice(FILLER["adjectives"] if rng.random() < 0.5 else english())
        text = text.replace(noun, f"{marked(adjective, FILL)} {noun}", 1)
    if rng.random() < 0.35:
        text = f"{marked(rng.choice(FILLER['before']), FILL)} {text}"
    if rng.random() < 0.4:
        clause = rng.choice(FILLER["with_word"]).format(rng.choice(english()))
        text = f"{text} {marked(clause, FILL)}"
    if rng.random() < 0.4:
        for after in rng.sample(FILLER["after"], rng.randint(1, 3)):
            text = f"{text} {FILL}, {marked(after, FILL)}"
    return text


def only_filler(rng: random.Random) -> str:
    """A phrase like any other, all of whose words mean nothing."""
    words = " ".join(rng.choice(english()) for _ in range(rng.randint(1, 2)))
    return filled(rng, marked(with_article(words), FILL), "")


_NODE_MODULES = Path(__file__).parents[1] / "node_modules"


@cache
def english(node_modules: Path = _NODE_MODULES) -> tuple[str, ...]:
    """Words that name nothing the model draws: tags of emojibase-data, where it is installed, and
    objects that it was not taught, three times each."""
    rest = untaught_names()
    path = node_modules / "emojibase-data" / "en" / "data.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    known = {word for noun in TAUGHT for name in NAMES[noun] for word in name.split()}
    known |= {plural(word) for word in known} | {*STYLES, *BACKGROUNDS, *SIZES}
    tags = {tag for row in rows for tag in row.get("tags", ())}
    tags = {tag for tag in tags if tag.isalpha() and tag.islower() and len(tag) > 2}
    return tuple(sorted(tags - known)) + tuple(rest) * 3


def words() -> Iterable[str]:
    """Everything that has tokens of its own, a text each; the same on every machine."""
    for name in every_name():
        yield from (name, plural(name))
    yield from STYLES
    yield from BACKGROUNDS
    yield from SIZES
    yield from POSITIONS
    for phrases in FILLER.values():
        yield from (text.replace("{}", "") for text in phrases)
    yield from form_words()


def form_words() -> list[str]:
    """The forms without their gaps: "{one} left of {other}" -> " left of "."""
    two_forms = [form for forms in TWO_FORMS.values() for form in forms]
    return [re.sub(r"\{\w+\}", "", form) for form in (*FULL_FORMS, *PARTIAL_FORMS, *two_forms)]
