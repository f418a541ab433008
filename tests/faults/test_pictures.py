"""Pictures that are small as files and large in memory: what opening one may cost."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.diffusion.recipe.images import BAND_ROWS, MAX_PIXELS, open_picture
from core.runs.store.store import Store, StoreError
from tests.core.runs.doubles import generation, info, settings
from tests.faults.campaign import counted, tries

ROOT = Path(__file__).resolve().parents[2]
SIZE = (6300, 6300)
BYTES_A_PIXEL = 4
"""Pillow holds RGB in four bytes."""

MEASURE = """
import sys
from tests.core.exports.films.long_film import own_peak_mb
from core.diffusion.recipe.images import open_picture, prepare
before = own_peak_mb()
picture = open_picture(open(sys.argv[1], "rb").read())
prepare(picture, 512, 512, "crop")
print(own_peak_mb() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("mode", "copies"), [("RGB", 1), ("RGBA", 2), ("I;16", 1.75), ("P", 1.25)])
def test_a_large_picture_is_held_once(tmp_path: Path, mode: str, copies: float) -> None:
    assert 0.99 * MAX_PIXELS < SIZE[0] * SIZE[1] <= MAX_PIXELS
    file = tmp_path / "large.png"
    Image.new(mode, SIZE).save(file)
    assert file.stat().st_size < 400_000
    command = [sys.executable, "-c", MEASURE, str(file)]
    whole = SIZE[0] * SIZE[1] * BYTES_A_PIXEL
    with counted("pictures of 39.7 megapixels") as count, count.one():
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert 0.9 * whole < float(found.stdout) * 1e6 < (copies + 0.5) * whole


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "I;16", "1"])
def test_bands_change_no_pixel(mode: str) -> None:
    chance = np.random.default_rng(0)
    grey = chance.integers(0, 256, (2 * BAND_ROWS + 7, 40), np.uint8)
    picture = Image.fromarray(np.stack([grey, grey.T.reshape(grey.shape), 255 - grey, grey], -1))
    if mode == "I;16":
        picture = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        picture = (picture.convert("RGB") if mode == "P" else picture).convert(mode)
    file = io.BytesIO()
    picture.save(file, "PNG")
    ours = open_picture(file.getvalue())
    if mode in ("RGBA", "LA"):
        white = Image.new("RGBA", picture.size, "white")
        wanted = Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    elif mode == "I;16":
        wanted = Image.fromarray(grey).convert("RGB")
    else:
        wanted = picture.convert("RGB")
    assert np.array_equal(np.asarray(ours), np.asarray(wanted))


def test_a_damaged_picture_hides_no_other_and_is_made_again(tmp_path: Path) -> None:
    chance = random.Random(3)
    store = Store(tmp_path)
    whole = {
        image.digest: store.image_bytes(image.digest)
        for image in (store.put(generation(settings(seed)), info()) for seed in range(5))
    }
    with counted("stored pictures with bytes changed or cut off") as count:
        for _ in range(tries(20, 200)):
            digest = chance.choice(sorted(whole))
            data = bytearray(whole[digest])
            if chance.random() < 0.3:
                del data[chance.randrange(len(data)) :]
            else:
                data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
            store.files.picture(digest).write_bytes(data)
            with count.one():
                with pytest.raises(StoreError):
                    store.image_bytes(digest)
                for other in whole.keys() - {digest}:
                    assert store.image_bytes(other) == whole[other]
                assert {image.digest for image in store.search()} >= whole.keys() - {digest}
                seed = next(s for s in range(5) if digest_of_seed(s) == digest)
                store.put(generation(settings(seed)), info())
                assert store.image_bytes(digest) == whole[digest]


def digest_of_seed(seed: int) -> str:
    return settings(seed).digest(info().fingerprint)
