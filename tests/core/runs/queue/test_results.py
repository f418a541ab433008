"""Results of tasks as files: what goes in comes out, and nothing else is read."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from core.diffusion.inside.anatomy import Change
from core.diffusion.settings import GenerationSettings
from core.runs.queue.results import ResultError, read_result, write_result
from core.runs.queue.task_table import TASKS, named

CHANGE = "core.diffusion.inside.anatomy:Change"
SETTINGS = "core.diffusion.settings:GenerationSettings"


def there_and_back(result: Any, path: Path, *allowed: str) -> Any:
    write_result(result, path)
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    return read_result(path, allowed)


def test_plain_values_come_back_as_they_were(tmp_path: Path) -> None:
    value = {
        ("a", "b"): (1, 2.5, None),
        "list": [True, "x", {"y": float("inf")}],
        3: GenerationSettings(prompt="ein Käuzchen", seed=7),
        "change": Change(start=1, end=None, prompt="p", scheduler="DDIM"),
        "number": np.float32(0.5),
    }
    assert there_and_back(value, tmp_path / "r.npz", CHANGE, SETTINGS) == value


def test_arrays_tensors_and_pictures_keep_every_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    array = rng.standard_normal((2, 3)).astype(np.float32)
    pictures = {
        mode: Image.fromarray(rng.integers(0, 255, (4, 5, 4), np.uint8), "RGBA").convert(mode)
        for mode in ("RGB", "RGBA", "L")
    }
    tensor = torch.arange(6).reshape(2, 3).to(torch.bfloat16)
    found = there_and_back((array, pictures, tensor), tmp_path / "r.npz")
    assert np.array_equal(found[0], array)
    for mode, picture in pictures.items():
        assert found[1][mode].mode == mode
        assert found[1][mode].tobytes() == picture.tobytes()
    assert np.array_equal(found[2], np.arange(6).reshape(2, 3))


def test_a_dataclass_that_is_not_expected_is_refused(tmp_path: Path) -> None:
    write_result(Change(start=1), tmp_path / "r.npz")
    with pytest.raises(ResultError, match="not expected"):
        read_result(tmp_path / "r.npz", [SETTINGS])


@dataclass
class Evil:
    """Its pickle would make a file."""

    path: str

    def __reduce__(self) -> Any:
        return Path.touch, (Path(self.path),)


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    trap = tmp_path / "made by a pickle"
    path = tmp_path / "r.npz"
    path.write_bytes(pickle.dumps(Evil(str(trap))))
    with pytest.raises(ResultError):
        read_result(path, ())
    np.savez(path, tree=np.array([Evil(str(trap))], dtype=object))
    with pytest.raises(ResultError):
        read_result(path, ())
    assert not trap.exists()


def test_what_has_no_form_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    for value in (object(), {"x": np.array([object()])}, Path("x")):
        with pytest.raises(ResultError):
            write_result(value, tmp_path / "r.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", list(TASKS))
def test_every_row_names_what_exists(name: str) -> None:
    row = TASKS[name]
    assert callable(row.load())
    for one in row.results:
        found = named(one)
        assert f"{found.__module__}:{found.__qualname__}" == one
