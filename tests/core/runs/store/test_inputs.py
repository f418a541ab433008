"""Source pictures of image-to-image: kept by content, gone with the last image made from them."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.diffusion.recipe.images import InputError, input_digest
from core.diffusion.recipe.source_names import plain_name, shown_source
from core.runs.queue.queue import Queue
from core.runs.store.store import Store
from tests.core.runs.doubles import describe, generation, info, settings

PICTURE = np.arange(8 * 16 * 3, dtype=np.uint8).reshape(8, 16, 3)
MASK = np.where(np.arange(128).reshape(8, 16) % 3 == 0, 255, 0).astype(np.uint8)
LATENTS = np.linspace(-3, 3, 4 * 2 * 2, dtype=np.float32).reshape(4, 2, 2)


@pytest.mark.parametrize("source", [PICTURE, MASK, LATENTS], ids=["picture", "mask", "latents"])
def test_what_is_kept_is_read_back_bit_for_bit(store: Store, source: np.ndarray) -> None:
    digest = store.inputs.keep(source)
    assert digest == input_digest(source) == store.inputs.keep(source.copy())
    assert store.inputs.holds(digest)
    read = store.inputs.read(digest)
    assert read.dtype == source.dtype
    assert np.array_equal(read, source)
    assert len([path for path in (store.folder / "inputs").rglob("*") if path.is_file()]) == 1


def test_sources_differ_by_shape_and_kind_too() -> None:
    flat = np.zeros((4, 4), np.uint8)
    digests = {
        input_digest(array)
        for array in (flat, flat.reshape(2, 8), flat.view(np.int8), flat.view(np.float32))
    }
    assert len(digests) == 4


@pytest.mark.parametrize("digest", ["5e" * 32, "", "../../etc/passwd", "A" * 64, "zz"])
def test_a_source_that_is_not_there_is_said(store: Store, digest: str) -> None:
    assert not store.inputs.holds(digest)
    with pytest.raises(InputError, match="needs its source picture"):
        store.inputs.read(digest)


def test_a_damaged_source_is_not_taken_for_the_picture(store: Store) -> None:
    digest = store.inputs.keep(PICTURE)
    path = store.files.input(digest, "png")
    for data in (path.read_bytes()[:60], b"", path.read_bytes()[:8]):
        path.write_bytes(data)
        with pytest.raises(InputError):
            store.inputs.read(digest)
    other = store.inputs.keep(MASK)
    path.write_bytes(store.files.input(other, "png").read_bytes())
    with pytest.raises(InputError):
        store.inputs.read(digest)
    store.inputs.keep(PICTURE)  # and is mended by keeping it again
    assert np.array_equal(store.inputs.read(digest), PICTURE)


def test_a_source_goes_with_the_last_image_made_from_it(store: Store) -> None:
    source, mask = store.inputs.keep(PICTURE), store.inputs.keep(MASK)
    images = [
        store.put(generation(settings(seed, init_image=source, mask_image=mask)), info())
        for seed in (1, 2)
    ]
    store.delete([images[0].digest])
    assert store.inputs.holds(source)
    assert store.inputs.holds(mask)
    store.delete([images[1].digest])
    assert not store.inputs.holds(source)
    assert not store.inputs.holds(mask)


def test_a_source_that_a_waiting_cell_needs_stays(store: Store) -> None:
    source = store.inputs.keep(PICTURE)
    image = store.put(generation(settings(1, init_image=source)), info())
    queue = Queue(store, describe=describe)
    job = queue.submit([settings(2, init_image=source)], owner="a", token="t")
    store.delete([image.digest])
    assert store.inputs.holds(source)
    queue.cancel(job)
    store.inputs.forget_unused([source])
    assert not store.inputs.holds(source)


def test_the_loss_of_the_index_loses_no_source(tmp_path: Path) -> None:
    store = Store(tmp_path)
    source = store.inputs.keep(PICTURE)
    image = store.put(generation(settings(1, init_image=source, strength=0.5)), info())
    store.close()
    for path in tmp_path.glob("lightbox.sqlite3*"):
        path.unlink()
    again = Store(tmp_path)
    found = again.get(image.digest)
    assert found is not None
    assert found.settings.init_image == source
    assert np.array_equal(again.inputs.read(source), PICTURE)


def test_a_row_of_before_image_to_image_still_loads(store: Store) -> None:
    image = store.put(generation(settings(3)), info())
    old = {
        name: value
        for name, value in image.settings.to_dict().items()
        if name in ("model", "prompt", "seed", "width", "height", "num_inference_steps")
    }
    with store.database.write() as connection:
        connection.execute("UPDATE images SET settings = ?", (json.dumps(old),))
    found = store.get(image.digest)
    assert found is not None
    assert found.settings == image.settings
    assert store.delete([image.digest]) == 1


def test_a_source_is_called_by_its_file_and_the_name_goes_with_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = store.inputs.keep(PICTURE, "/home/me/cats\\my cat\n1.png")
    assert shown_source(digest) == "my cat 1.png"
    monkeypatch.setattr("core.diffusion.recipe.source_names._names", {})
    assert shown_source(digest) == digest[:12]
    Store(store.folder)  # as another start of the app opens it
    assert shown_source(digest) == "my cat 1.png"
    monkeypatch.setattr("core.diffusion.recipe.source_names._names", {})
    store.inputs.read(digest)  # as a worker does that was there before the name
    assert shown_source(digest) == "my cat 1.png"
    store.inputs.keep(PICTURE)
    assert shown_source(digest) == "my cat 1.png", "no name takes none away"
    image = store.put(generation(settings(1, init_image=digest)), info())
    store.delete([image.digest])
    assert not [path for path in (store.folder / "inputs").rglob("*") if path.is_file()]


def test_a_name_is_short() -> None:
    assert plain_name("") == plain_name("\x00") == ""
    assert plain_name("../../etc/passwd") == "passwd"
    assert len(plain_name("a" * 300)) == 60
