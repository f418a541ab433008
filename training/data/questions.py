"""What the model is asked when it is measured, and when an answer is right."""

from __future__ import annotations

import random
import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from training.data import captions
from training.data.scenes import BACKGROUND_NAMES, NOUNS, STYLE_NAMES
from training.data.scenes import doubles as scenes_of_two
from training.data.scenes import singles as scenes_of_one
from training.data.vocabulary import NAMES, newcomers, plural

SCENES_SEED, WORDS_SEED = 1234, 99


@dataclass(frozen=True, kw_only=True)
class Question:
    """`asked` are the objects in their order, or with `any_of` those of which one will do."""

    prompt: str
    asked: tuple[str, ...]
    style: str = ""
    background: str = ""
    layout: str = ""
    any_of: bool = False


def singles(count: int, only: Collection[str]) -> list[Question]:
    """Held-out combinations of these objects by captions that say all of it."""
    rng = random.Random(WORDS_SEED)
    scenes = scenes_of_one(count * 4, SCENES_SEED, from_held_out=True)
    chosen = [s for s in scenes if s.nouns[0] in only][:count]
    return [
        Question(
            prompt=captions.phrase(rng.choice(captions.FULL_FORMS), *scene.combination),
            asked=scene.nouns,
            style=scene.style,
            background=scene.background,
        )
        for scene in chosen
    ]


def doubles(count: int, only: Collection[str]) -> list[Question]:
    """Held-out pairs of these objects, by their usual names with place and background."""
    rng = random.Random(WORDS_SEED)
    questions: list[Question] = []
    for scene in scenes_of_two(count, SCENES_SEED, from_held_out=True, of=sorted(only)):
        one, other = (captions.with_article(noun) for noun in scene.nouns)
        placed = rng.choice(captions.TWO_FORMS[scene.layout]).format(one=one, other=other)
        prompt = f"{placed} on {captions.with_article(scene.background)} background"
        questions.append(
            Question(
                prompt=prompt, asked=scene.nouns, background=scene.background, layout=scene.layout
            )
        )
    return questions


def of_newcomers(*, with_filler: bool) -> list[Question]:
    """newcomers.txt as it is, or each prompt among words that mean nothing."""
    rng = random.Random(WORDS_SEED)
    questions: list[Question] = []
    for prompt, asked in newcomers():
        text = prompt
        if with_filler:
            before, after = rng.choice(captions.FILLER["before"][:16]), captions.FILLER["after"]
            text = ", ".join([f"{before} {prompt}", *rng.sample(after, 3)])
        questions.append(Question(prompt=text, asked=asked, any_of=True))
    return questions


def named(prompt: str) -> set[str]:
    """The trained objects that a prompt names, the longest name first: "hot dog" is no dog."""
    names = {
        form: noun for noun, all_of in NAMES.items() for n in all_of for form in (n, plural(n))
    }
    rest, found = prompt.lower(), set()
    for name in sorted(names, key=len, reverse=True):
        shorter = re.sub(rf"\b{re.escape(name)}\b", "", rest)
        if shorter != rest:
            found.add(names[name])
            rest = shorter
    return found


def right(question: Question, guessed: dict[str, np.ndarray]) -> dict[str, bool]:
    """What of the answer is right; `guessed` has class indices (size,), likeliest first.

    One object asked for must be the first guess, two the first two. In a newcomer's prompt that
    names two or more ("a cat wearing a hat") the one asked for may come second.
    """
    objects = [NOUNS[i] for i in guessed["object"][:2]]
    if question.any_of:
        seen = objects if len(named(question.prompt)) > 1 else objects[:1]
        return {"object": any(noun in question.asked for noun in seen)}
    answers = {"object": set(objects[: len(question.asked)]) == set(question.asked)}
    if question.layout:
        is_first = NOUNS[guessed["first"][0]] == question.asked[0]
        answers["order"] = answers["object"] and is_first
    if question.style:
        answers["style"] = STYLE_NAMES[guessed["style"][0]] == question.style
    answers["background"] = BACKGROUND_NAMES[guessed["background"][0]] == question.background
    return answers
