"""The Gallery: newest first, searched, filtered, paged, opened, sent on, deleted."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.diffusion.settings import GenerationSettings
from core.runs.store.index import Filter
from core.sweeps.axis import Axis
from core.sweeps.sweep import Sweep
from tests.pages.conftest import GALLERY, App, messages
from ui.gallery.album import PAGE_SIZE


def tiles(at: AppTest) -> list[dict[str, Any]]:
    """What the browser is told of each tile, in order."""
    (component,) = at.get("bidi_component")
    return json.loads(component.proto.json)["cells"]


def shown(at: AppTest) -> list[str]:
    """The digests on the page, in order."""
    return [tile["at"] for tile in tiles(at)]


def run_sweep(app: App, scales: tuple[float, ...] = (2.0, 5.0, 9.0), prompt: str = "an owl") -> Any:
    """The job of a sweep whose cells are computed."""
    base = GenerationSettings(prompt=prompt, seed=1, num_inference_steps=3)
    sweep = Sweep(base=base, x=Axis(name="guidance_scale", values=scales))
    cells = [cell.settings for cell in sweep.cells()]
    app.queue.submit(cells, owner="test", token=f"{prompt}{scales}", sweep=sweep)
    return app.finish()


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
    at.session_state["gallery_open"] = image.digest  # as a click does
    at.run()
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
    at.session_state["gallery:picked"] = {image.digest for image in images[1:3]}  # as clicks do
    at.run()
    assert [tile["state"] for tile in tiles(at)] == ["done", "selected", "selected", "done"]
    at.button(key="gallery:delete").click().run()
    assert app.store.count() == 4, "not without asking"
    at.button(key="gallery:really").click().run()
    kept = [image.digest for image in app.store.search()]
    assert kept == [images[3].digest, images[0].digest]


def test_all_of_a_page_are_ticked_and_none(app: App) -> None:
    images = [app.put(seed) for seed in range(3)]
    at = app.open(GALLERY)
    at.toggle(key="gallery:selecting").set_value(True).run()
    assert at.button(key="gallery:compare").disabled
    at.button(key="gallery:all").click().run()
    assert at.session_state["gallery:picked"] == {image.digest for image in images}
    (export,) = [one for one in at.get("download_button") if one.proto.label == "Export 3"]
    assert not export.proto.disabled
    at.button(key="gallery:all").click().run()
    assert at.session_state["gallery:picked"] == set()
    at.button(key="gallery:all").click().run()
    at.toggle(key="gallery:selecting").set_value(False).run()
    at.toggle(key="gallery:selecting").set_value(True).run()
    assert at.session_state["gallery:picked"] == set(), "what is not shown is not deleted later"


def test_two_ticked_pictures_are_compared(app: App) -> None:
    images = [app.put(1, guidance_scale=scale) for scale in (2.0, 6.0)]
    at = app.open(GALLERY)
    at.toggle(key="gallery:selecting").set_value(True).run()
    at.session_state["gallery:picked"] = {image.digest for image in images}
    at.run()
    at.button(key="gallery:compare").click().run()
    assert not messages(at)
    (table,) = at.table
    assert list(table.value["Differs in"]) == ["Guidance scale"]
    data = [json.loads(one.proto.json) for one in at.get("bidi_component")]
    assert [sorted(one) for one in data if "a" in one] == [["a", "b"]]


def test_a_sweep_is_one_tile_that_opens_it(app: App) -> None:
    single = app.put(7, prompt="a fish")
    job = run_sweep(app)
    at = app.open(GALLERY)
    (sweep, picture) = tiles(at)
    assert picture["at"] == single.digest
    assert sweep["caption"] == "Guidance scale (3): an owl"
    assert sweep["marks"] == ["3 pictures"]
    assert "4 pictures" in [caption.value for caption in at.caption]
    at.session_state["gallery:sweep"] = job.id  # as a click does
    at.run()
    assert not messages(at)
    assert at.text_area(key="sweep_prompt").value == "an owl"
    apart = app.open(GALLERY, gallery_grouped="false")
    assert len(tiles(apart)) == 4
    assert not [tile for tile in tiles(apart) if tile["marks"]]


def test_a_sweep_is_ticked_with_all_its_pictures(app: App) -> None:
    job = run_sweep(app)
    digests = {cell.digest for cell in app.queue.cells(job.id)}
    at = app.open(GALLERY)
    at.toggle(key="gallery:selecting").set_value(True).run()
    at.button(key="gallery:all").click().run()
    assert at.session_state["gallery:picked"] == digests
    assert [tile["state"] for tile in tiles(at)] == ["selected"]
    at.button(key="gallery:delete").click().run()
    at.button(key="gallery:really").click().run()
    assert app.store.count() == 0


def test_a_search_finds_within_a_sweep(app: App) -> None:
    """The tile stands for those that are found, and says how many they are."""
    run_sweep(app, prompt="an owl")
    run_sweep(app, prompt="a fish", scales=(3.0, 4.0))
    at = app.open(GALLERY, gallery_search="fish")
    assert [tile["marks"] for tile in tiles(at)] == [["2 pictures"]]
    assert "2 pictures" in [caption.value for caption in at.caption]


def test_an_opened_picture_leads_to_the_ones_beside_it(app: App) -> None:
    """By the library's own order, whatever the page of the tiles; a filter holds here too."""
    first, other, last = app.put(1), app.put(2, prompt="a fish"), app.put(3)
    at = app.open(GALLERY, gallery_open=first.digest)
    assert at.button(key="gallery:older").disabled
    at.button(key="gallery:newer").click().run()
    assert at.session_state["gallery_open"] == other.digest
    at.button(key="gallery:newer").click().run()
    assert at.session_state["gallery_open"] == last.digest
    assert at.button(key="gallery:newer").disabled
    at.button(key="gallery:older").click().run()
    assert at.session_state["gallery_open"] == other.digest
    found = app.open(GALLERY, gallery_open=first.digest, gallery_search=first.settings.prompt)
    found.button(key="gallery:newer").click().run()
    assert found.session_state["gallery_open"] == last.digest


def test_a_damaged_picture_does_not_take_the_page_down(app: App) -> None:
    good, bad = app.put(901), app.put(902)  # no small one of them is in memory
    bad.path.write_bytes(b"")
    at = app.open(GALLERY)
    assert shown(at) == [bad.digest, good.digest]
    assert [tile["state"] for tile in tiles(at)] == ["failed", "done"]
    assert [tile["words"] for tile in tiles(at)] == ["This picture cannot be read", ""]
    at.session_state["gallery_open"] = bad.digest
    at.run()
    assert {message.split(":")[0] for message in messages(at)} == {"This picture cannot be shown"}


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
    assert len(shown(at)) == PAGE_SIZE


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


def buttons(at: AppTest) -> dict[str, Any]:
    """The buttons of a rating by the last part of their keys."""
    return {str(one.key).rsplit(":", 1)[-1]: one for one in at.button if "rating:" in str(one.key)}


def test_the_opened_picture_is_rated_and_found_by_it(app: App) -> None:
    one, two = app.put(1), app.put(2)
    at = app.open(GALLERY, gallery_open=one.digest)
    buttons(at)["4"].click().run()
    buttons(at)["favourite"].click().run()
    assert [buttons(at)[str(n)].label for n in range(1, 6)] == ["★", "★", "★", "★", "☆"]
    assert buttons(at)["favourite"].label == "♥"
    assert [buttons(at)[name].proto.shortcut for name in ("1", "5", "favourite")] == ["1", "5", "f"]

    at = app.open(GALLERY)
    assert [tile["marks"] for tile in tiles(at)] == [[], ["★★★★♥"]]
    at.selectbox(key="gallery_sort").set_value("Best rated").run()
    assert shown(at) == [one.digest, two.digest]
    at.selectbox(key="gallery_rating").set_value("Not rated").run()
    assert shown(at) == [two.digest]
    assert shown(app.open(GALLERY, gallery_rating="Favourites")) == [one.digest]

    at = app.open(GALLERY, gallery_open=one.digest)
    buttons(at)["4"].click().run()  # the same again removes them
    assert app.store.search(Filter(rated="1")) == []


def test_a_selection_is_offered_its_stars(app: App) -> None:
    for seed in range(3):
        app.put(seed)
    at = app.open(GALLERY)
    at.toggle(key="gallery:selecting").set_value(True).run()
    at.button(key="gallery:all").click().run()
    (menu,) = [one for one in at.get("menu_button") if one.proto.label == "Rate 3"]
    assert [text for text in menu.proto.options if "★★★" in text] == [
        "★★★★★ 5 stars",
        "★★★★ 4 stars",
        "★★★ 3 stars",
    ]
    assert not menu.proto.disabled


@pytest.mark.parametrize("text", ["6", "Best"])
def test_a_rating_or_order_that_is_none_is_said(app: App, text: str) -> None:
    app.put(1)
    (message,) = messages(app.open(GALLERY, gallery_rating=text))
    assert "gallery_rating" in message
    (message,) = messages(app.open(GALLERY, gallery_sort=text))
    assert "gallery_sort" in message
