"""The Gallery: newest first, searched, filtered, paged, opened, sent on, deleted."""

from __future__ import annotations

import time

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import GALLERY, App, messages
from ui.gallery.album import PAGE_SIZE


def shown(at: AppTest) -> list[str]:
    """The digests on the page, in order."""
    keys = [button.key or "" for button in at.button]
    return [key.removeprefix("open:") for key in keys if key.startswith("open:")]


def test_an_empty_gallery_says_what_fills_it(app: App) -> None:
    at = app.open(GALLERY)
    assert [box.value for box in at.subheader] == ["No pictures yet"]
    assert "Generate one" in [link.label for link in at.page_link]


def test_newest_first(app: App) -> None:
    images = [app.put(seed) for seed in range(3)]
    assert shown(app.open(GALLERY)) == [image.digest for image in reversed(images)]


def test_search_and_filters_and_their_links(app: App) -> None:
    apple = app.put(1, prompt="a Red apple", scheduler="DDIM")
    owl = app.put(2, prompt="an owl, red", scheduler="UniPC")
    at = app.open(GALLERY)
    at.text_input(key="gallery_search").set_value("APPLE red").run()
    assert shown(at) == [apple.digest]
    at.text_input(key="gallery_search").set_value("").run()
    at.selectbox(key="gallery_scheduler").set_value("UniPC").run()
    assert shown(at) == [owl.digest]
    assert shown(app.open(GALLERY, gallery_scheduler="DDIM")) == [apple.digest]
    assert shown(app.open(GALLERY, gallery_model=app.model.name)) == [owl.digest, apple.digest]


def test_nothing_found_says_so(app: App) -> None:
    app.put(1)
    at = app.open(GALLERY, gallery_search="zebra")
    assert [box.value for box in at.subheader] == ["No matches"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("gallery_scheduler", "None such"), ("gallery_page", "two"), ("gallery_pge", "2")],
)
def test_a_broken_parameter_is_said_and_the_default_used(app: App, name: str, text: str) -> None:
    app.put(1)
    at = app.open(GALLERY, **{name: text})
    (message,) = messages(at)
    assert name in message
    assert len(shown(at)) == 1


def test_pages_and_a_filter_goes_back_to_the_first(app: App) -> None:
    images = [app.put(seed, prompt=f"number {seed}") for seed in range(PAGE_SIZE + 3)]
    at = app.open(GALLERY)
    assert shown(at) == [image.digest for image in images[:2:-1]]
    at.session_state["gallery_page"] = 2
    at.run()
    assert shown(at) == [image.digest for image in images[2::-1]]
    at.text_input(key="gallery_search").set_value("number").run()
    assert len(shown(at)) == PAGE_SIZE, "a new search begins on the first page"


def test_a_page_beyond_the_last_shows_the_last(app: App) -> None:
    for seed in range(PAGE_SIZE + 1):
        app.put(seed)
    at = app.open(GALLERY, gallery_page="99")
    assert not at.exception
    assert shown(at)


def test_a_picture_opens_with_all_that_made_it(app: App) -> None:
    image = app.put(7, prompt="an owl")
    at = app.open(GALLERY)
    at.button(key=f"open:{image.digest}").click().run()
    assert any(code.value.startswith("an owl\nSteps: 20") for code in at.code)
    assert {metric.label: metric.value for metric in at.metric}["CLIP score"] == "27.5"


def test_a_link_opens_a_picture_and_says_when_it_is_gone(app: App) -> None:
    image = app.put(7)
    at = app.open(GALLERY, gallery_open=image.digest)
    assert any(image.digest in code.value for code in at.code)
    at = app.open(GALLERY, gallery_open="0" * 64)
    assert any("not found" in box.value for box in at.info)


def test_an_opened_picture_is_sent_to_generate(app: App) -> None:
    image = app.put(7, prompt="an owl", num_inference_steps=9, guidance_scale=4.5, width=96)
    at = app.open(GALLERY, gallery_open=image.digest)
    at.menu_button(key=f"send:{image.digest}").set_value("pages/Generate.py").run()
    assert not at.exception
    assert at.text_area(key="generate_prompt").value == "an owl"
    assert at.number_input(key="generate_seed").value == 7
    assert at.number_input(key="generate_num_inference_steps").value == 9
    assert at.number_input(key="generate_guidance_scale").value == 4.5
    assert at.number_input(key="generate_width").value == 96
    assert any(image.digest in code.value for code in at.code), "the very same picture is shown"
    assert not messages(at)


def test_deleting_asks_first(app: App) -> None:
    image, other = app.put(1), app.put(2)
    at = app.open(GALLERY, gallery_open=image.digest)
    at.button(key="gallery:delete_one").click().run()
    assert app.store.count() == 2
    at.button(key="gallery:really").click().run()
    assert not image.path.exists()
    assert shown(at.run()) == [other.digest]


def test_several_are_ticked_and_deleted(app: App) -> None:
    images = [app.put(seed) for seed in range(4)]
    at = app.open(GALLERY)
    at.toggle(key="gallery:selecting").set_value(True).run()
    assert at.button(key="gallery:delete").disabled
    for image in images[1:3]:
        at.checkbox(key=f"tick:{image.digest}").check().run()
    at.button(key="gallery:delete").click().run()
    assert app.store.count() == 4, "not without asking"
    at.button(key="gallery:really").click().run()
    kept = [image.digest for image in app.store.search()]
    assert kept == [images[3].digest, images[0].digest]


def test_a_damaged_picture_does_not_take_the_page_down(app: App) -> None:
    good, bad = app.put(1), app.put(2)
    bad.path.write_bytes(b"")
    at = app.open(GALLERY)
    assert shown(at) == [bad.digest, good.digest]
    assert [message.split(":")[0] for message in messages(at)] == ["This picture cannot be shown"]
    assert len(at.get("image")) == 1


def test_a_thousand_pictures_page_in_under_a_second(app: App) -> None:
    """In this process' own time, so that a busy machine does not fail it."""
    first = app.put(0)
    (row,) = app.store.database.read("SELECT * FROM images")
    columns = row.keys()
    with app.store.database.write() as connection:
        for i in range(999):
            values = dict(row) | {"digest": f"{i:064x}", "created_at": row["created_at"] - i - 1}
            copy = app.store.files.picture(values["digest"])
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(first.path.read_bytes())
            marks = ", ".join("?" * len(columns))
            connection.execute(
                f"INSERT INTO images ({', '.join(columns)}) VALUES ({marks})",
                [values[name] for name in columns],
            )
    at = app.open(GALLERY)
    assert shown(at)[0] == first.digest
    begin = time.process_time()
    at.session_state["gallery_page"] = 21
    at.run()
    assert time.process_time() - begin < 1
    assert len(at.get("image")) == PAGE_SIZE


@pytest.mark.parametrize(
    "page",
    [None, GALLERY, "pages/Film.py", "pages/Latents.py", "pages/Variations.py"],
    ids=["home", "gallery", "film", "latents", "variations"],
)
def test_a_picture_that_cannot_be_read_is_named_and_the_others_are_shown(
    app: App, page: str | None
) -> None:
    images = [app.put(seed) for seed in range(10)]
    bad = images[-1].digest  # the newest, which pages begin with
    with app.store.database.write() as connection:
        connection.execute("UPDATE images SET created_at = 'now' WHERE digest = ?", (bad,))
    at = app.open(page)
    (warning,) = at.warning
    assert warning.body.startswith(bad[:16])
    assert [error.body for error in at.error] == []
    assert not at.exception
    if page == GALLERY:
        assert shown(at) == [image.digest for image in images[-2::-1]]
        assert "9 pictures" in [caption.value for caption in at.caption]
