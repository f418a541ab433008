"""Source pictures as an axis of the Sweep page: uploaded together, fitted, run, missing."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from core.diffusion.recipe.images import open_picture, prepare
from tests.pages.conftest import App, messages, unescaped
from tests.pages.test_sweep import PAGE, captions, grid, run

QUICK = {"sweep_prompt": "an owl", "sweep_num_inference_steps": "4", "sweep_scheduler": "DDIM"}


def png(colour: str, size: tuple[int, int] = (200, 100)) -> bytes:
    picture = Image.new("RGB", size, colour)
    picture.paste("white", (0, 0, size[0] // 3, size[1]))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


FILES = (("red.png", png("red")), ("broken.png", b"no picture"), ("blue.png", png("blue")))
UPLOADED = [(name, data, "image/png") for name, data in FILES]


def test_the_axis_begins_with_pictures_that_run(app: App) -> None:
    at = app.open(PAGE, **QUICK)
    at.selectbox(key="sweep_x").set_value("init_image").run()
    assert not messages(at)
    assert "2: apple.png · face.png" in captions(at)
    run(at)
    sources = [app.store.inputs.read(one.init_image) for one in app.asked()]
    assert [one.shape for one in sources] == [(128, 128, 3)] * 2
    assert {one.strength for one in app.asked()} == {0.8}


def test_several_are_uploaded_and_a_bad_one_is_said(app: App) -> None:
    at = app.open(PAGE, **QUICK, sweep_y="Strength", sweep_y_values="0.25, 0.75")
    at.selectbox(key="sweep_x").set_value("init_image").run()
    at.file_uploader(key="sweep:pictures:x").set_value(UPLOADED).run()
    assert [unescaped(said) for said in messages(at)] == [
        "broken.png cannot be used: The file is not a PNG, JPEG or WebP picture."
    ]
    run(at)
    asked = app.asked()
    assert [one.strength for one in asked] == [0.25, 0.25, 0.75, 0.75]
    for one, index in zip(asked, (0, 2, 0, 2), strict=True):
        source = app.store.inputs.read(one.init_image)
        assert np.array_equal(source, prepare(open_picture(FILES[index][1]), 128, 128, "crop"))
    app.finish()
    at.run()
    assert [cell["state"] for cell in grid(at)] == ["done"] * 4
    assert "red.png" in unescaped(str(at.get("bidi_component")[0].proto.json))


def test_another_size_is_made_of_the_whole_pictures(app: App) -> None:
    at = app.open(PAGE, **QUICK)
    at.selectbox(key="sweep_x").set_value("init_image").run()
    at.file_uploader(key="sweep:pictures:x").set_value(UPLOADED).run()
    at.number_input(key="sweep_width").set_value(64).run()
    at.segmented_control(key="sweep:fit:x").set_value("Pad").run()
    run(at)
    asked = app.asked()
    assert [(one.width, one.height) for one in asked] == [(64, 128)] * 2
    source = app.store.inputs.read(asked[0].init_image)
    assert np.array_equal(source, prepare(open_picture(FILES[0][1]), 64, 128, "pad"))


def test_a_link_holds_the_pictures_and_one_that_is_gone_is_said(app: App) -> None:
    here = [
        app.store.inputs.keep(prepare(open_picture(data), 128, 128, "crop"), name)
        for name, data in (FILES[0], FILES[2])
    ]
    values = {"sweep_x": "Source picture", "sweep_x_values": ", ".join(here)}
    at = run(app.open(PAGE, **QUICK, **values))
    assert [one.init_image for one in app.asked()] == here
    gone = values["sweep_x_values"] + f", {'5e' * 32}"
    at = app.open(PAGE, **QUICK, **(values | {"sweep_x_values": gone}))
    assert len(at.error) == 1
    assert "Source picture 5e5e5e5e5e5e: is not kept here: upload the picture." in messages(at)[0]
    assert at.text_input(key="sweep_x_values").value == gone, "what was given is not lost"
