"""A task's result as one file, and back: a tree in JSON, its arrays and pictures beside it.

The file is NumPy's .npz, read without pickle. Dataclasses are read by an allow-list alone.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.runs.queue.task_table import named

_TREE = "tree"
_KIND = "kind"


class ResultError(Exception):
    """A result that cannot be written, or a file that is not one of ours."""


def write_result(result: Any, path: Path) -> None:
    """Write a result, which has its name only when it is whole. Raises ResultError and OSError.

    It may be made of None, booleans, numbers, strings, tuples, lists, dicts, dataclasses, NumPy
    arrays, tensors (which come back as arrays) and pictures.
    """
    arrays: dict[str, np.ndarray] = {}
    tree = json.dumps(_encoded(result, arrays))
    arrays[_TREE] = np.frombuffer(tree.encode(), np.uint8)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_result(path: Path, allowed: Collection[str]) -> Any:
    """Read a result whose dataclasses are among `allowed` ("module:name").

    Raises ResultError where the file is damaged or holds anything else, OSError where it is gone.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        tree = json.loads(arrays.pop(_TREE).tobytes().decode())
        return _decoded(tree, arrays, frozenset(allowed))
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, ImportError) as error:
        raise ResultError(f"{path.name} is no result: {error}") from error


def _encoded(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_encoded(one, arrays) for one in value]
    if isinstance(value, tuple):
        return {_KIND: "tuple", "items": [_encoded(one, arrays) for one in value]}
    if isinstance(value, dict):
        items = [[_encoded(key, arrays), _encoded(one, arrays)] for key, one in value.items()]
        return {_KIND: "dict", "items": items}
    if isinstance(value, Image.Image):
        return {_KIND: "image", "mode": value.mode, "array": _kept(np.asarray(value), arrays)}
    if isinstance(value, np.ndarray):
        return {_KIND: "array", "array": _kept(value, arrays)}
    if hasattr(value, "detach"):  # a tensor: bfloat16 has no NumPy type
        tensor = value.detach().cpu()
        tensor = tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor
        return {_KIND: "array", "array": _kept(tensor.numpy(), arrays)}
    if is_dataclass(value) and not isinstance(value, type):
        inner = {
            field.name: _encoded(getattr(value, field.name), arrays)
            for field in fields(value)
            if field.init
        }
        name = f"{type(value).__module__}:{type(value).__qualname__}"
        return {_KIND: "dataclass", "name": name, "fields": inner}
    raise ResultError(f"a {type(value).__name__} cannot be kept as a task's result")


def _kept(array: np.ndarray, arrays: dict[str, np.ndarray]) -> str:
    if array.dtype.hasobject:
        raise ResultError("an array of objects cannot be kept as a task's result")
    name = f"array {len(arrays)}"
    arrays[name] = array
    return name


def _decoded(tree: Any, arrays: dict[str, np.ndarray], allowed: frozenset[str]) -> Any:
    if isinstance(tree, list):
        return [_decoded(one, arrays, allowed) for one in tree]
    if not isinstance(tree, dict):
        return tree
    kind = tree[_KIND]
    if kind == "array":
        return arrays[tree["array"]]
    if kind == "image":
        return Image.fromarray(arrays[tree["array"]]).convert(tree["mode"])
    if kind == "tuple":
        return tuple(_decoded(one, arrays, allowed) for one in tree["items"])
    if kind == "dict":
        return {
            _decoded(key, arrays, allowed): _decoded(one, arrays, allowed)
            for key, one in tree["items"]
        }
    if kind != "dataclass" or tree["name"] not in allowed:
        raise ResultError(f"{tree.get('name', kind)} is not expected in this task's result")
    inner = {name: _decoded(one, arrays, allowed) for name, one in tree["fields"].items()}
    return named(tree["name"])(**inner)
