"""Numbers that are none, in every parameter of every page: it says so and uses its default."""

from __future__ import annotations

import importlib

import pytest

from core.diffusion.recipe.limits import MAX_TEXT
from core.lessons.shelf import find_lessons
from core.runs.worker.worker import Worker
from tests.core.runs.doubles import generation
from tests.faults.campaign import LONG, counted
from tests.pages.conftest import App, app, messages
from ui.catalog import CATALOG, HOME, Page
from ui.links import Parameter

__all__ = ["Worker", "app"]

BAD = ("1e309", "-inf", "nan", "1e400", "9" * 400, "9" * 5000, "-1e309", "²")
OF_PAGES = {
    "generate": "ui.settings.controls",
    "sweep": "ui.sweep.form",
    "gallery": "ui.gallery.album",
    "img2img": "ui.img2img.form",
    "latents": "ui.latents.form",
    "schedulers": "ui.schedulers.form",
    "film": "ui.film.form",
    "steps": "ui.steps.form",
    "variations": "ui.variations.form",
    "lessons": "ui.lessons.listing",
    "glossary": "ui.glossary.words",
}
PAGES = [page for page in CATALOG if page is not HOME]


def parameters(page: Page, app: App) -> tuple[Parameter, ...]:
    """What the page's own module says its address may hold."""
    module = importlib.import_module(OF_PAGES[page.prefix])
    if page.prefix == "gallery":
        return module.parameters(app.store.facets())
    if page.prefix == "latents":
        return module.parameters(20)
    if page.prefix == "lessons":
        return module.parameters(find_lessons())
    return module.parameters()


def check(app: App, page: Page, query: dict[str, str], said: list[str]) -> None:
    at = app.open(page.path, **query)
    found = " ".join(messages(at))
    shown = {name: value[:20] for name, value in query.items()}
    assert not at.exception, (page.title, shown, at.exception)
    assert "Something went wrong" not in found, (page.title, shown)
    assert not said or "Part of the link could not be used" in found, (page.title, shown)
    for name in said:
        assert name in found, (page.title, name)
        assert query[name] not in dict(at.query_params).get(name, [""]), (page.title, name)


def test_every_page_has_its_parameters_here() -> None:
    assert set(OF_PAGES) == {page.prefix for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.prefix)
def test_numbers_that_are_none(app: App, page: Page) -> None:
    app.store.put(generation(), app.model)  # Latents reads its address once it has a run to show
    found = parameters(page, app)
    names = {f"{page.prefix}_{one.field}": one for one in found}
    numeric = [name for name, one in names.items() if one.kind in ("int", "float", "range")]
    assert numeric or all(one.kind in ("text", "choice") for one in found)
    with counted("numbers that are none in an address") as count:
        for number, bad in enumerate(BAD if LONG else BAD[:2]):
            # All numbers at once, and by turns one alone: a page must not live on another's
            # mending.
            with count.one():
                check(app, page, dict.fromkeys(numeric, bad), numeric)
            for name in names if LONG else numeric[number : number + 1]:
                with count.one():
                    check(app, page, {name: bad}, [name] if name in numeric else [])


def test_a_long_text_is_refused_with_a_word(app: App) -> None:
    at = app.open("pages/Generate.py", generate_prompt="a" * 500_000)
    (said,) = messages(at)
    assert f"has 500,000 characters; up to {MAX_TEXT:,} are read" in said
    assert len(said) < 1000
    assert at.text_area(key="generate_prompt").value in ("", None)
