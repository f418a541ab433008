"""Files of weights: safetensors alone, whole, and nothing beside them that could run code.

Only headers are read here: the length, then JSON with every tensor's type, shape and place.
Source: the safetensors format, github.com/huggingface/safetensors. Imports no torch.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from core.diffusion.models.errors import IncompleteError, ModelError

PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
STEMS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}
"""How save_pretrained calls a part's weights; the text encoders' are "model"."""

VARIANTS = ("", "fp32", "fp16", "bf16", "non_ema")
"""In the order in which they are taken: whole precision before half, averaged weights before the
others of the training.
"""

_SCALES = re.compile(r"(?:^|\.)(?:scale_weight|weight_scale|scale_input|input_scale|scaled_fp8)$")

MOST_HEADER_BYTES = 100 * 2**20  # the format's own limit
AGAIN = "Copy or download the model again."


@dataclass(frozen=True, kw_only=True)
class Tensors:
    """A safetensors file's header: each tensor's shape and type, and the free text it carries.

    Types are the format's: "F32", "F16", "BF16", "F8_E4M3", "I64" ...
    """

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    metadata: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The files of one part that are read: `variant` is diffusers' word ("" or "fp16")."""

    variant: str
    files: tuple[Path, ...]


def read_header(file: Path) -> Tensors:
    """Read the header of a whole safetensors file; again only where the file has changed.

    Raises ModelError for anything else, IncompleteError for a file that is cut short.
    """
    try:
        state = file.stat()
        return _read_header(file, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise IncompleteError(f"{file.name} cannot be read ({error.strerror}). {AGAIN}") from error


@functools.lru_cache(maxsize=1024)
def _read_header(file: Path, size: int, changed: int) -> Tensors:
    with file.open("rb") as stream:
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if start.startswith(b"version "):
            raise ModelError(
                f"{file.name} is a pointer of Git LFS, not the file itself. Run "
                "'git lfs pull' in its folder, or download it in another way."
            )
        is_header = len(start) == 8 and 2 <= length <= MOST_HEADER_BYTES
        text = stream.read(length) if is_header and 8 + length <= size else b""
    if is_header and 8 + length > size and size > 8:
        raise IncompleteError(f"{file.name} ends within its header: it is cut short. {AGAIN}")
    try:
        tensors, end = _parsed(text)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise ModelError(
            f"{file.name} is no safetensors file, whatever its name says. Checkpoints of other "
            f"formats are not opened: look for the model as safetensors."
        ) from None
    if (whole := 8 + length + end) > size:
        raise IncompleteError(
            f"{file.name} has {size:,} of the {whole:,} bytes that its header tells of: it was "
            f"not copied or downloaded to the end. {AGAIN}"
        )
    if whole < size:
        raise ModelError(
            f"{file.name} has {size - whole:,} bytes behind its last tensor, which no safetensors "
            f"file has: something was added to it. {AGAIN}"
        )
    return tensors


def _parsed(text: bytes) -> tuple[Tensors, int]:
    """The header, and where the last tensor ends behind it."""
    header = json.loads(text)
    if not isinstance(header, dict):
        raise TypeError
    entries = cast(dict[str, Any], header)
    metadata = {str(k): str(v) for k, v in (entries.pop("__metadata__", None) or {}).items()}
    end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    shapes = {name: tuple(map(int, entry["shape"])) for name, entry in entries.items()}
    dtypes = {name: str(entry["dtype"]) for name, entry in entries.items()}
    return Tensors(shapes=shapes, dtypes=dtypes, metadata=metadata), end


def refuse_scaled(name: str, tensors: Tensors) -> None:
    """Raise ModelError, by name, for weights in eight bits with scales of their own.

    ComfyUI's and others' scaled fp8: without its scale a weight is another number.
    """
    for tensor in tensors.shapes:
        if _SCALES.search(tensor) or tensor.endswith(".comfy_quant"):
            raise ModelError(
                f"{name} holds weights in eight bits that are to be multiplied by scales "
                f"({tensor}), which this version does not do. Look for the same model in float16."
            )


def weights_of(folder: Path, part: str, name: str, stem: str = "") -> Weights:
    """The weights of `folder`/`part`, whole precision before half; `stem` is how their files are
    called, where not as the part's. Raises ModelError, with the model's `name`, where there are
    none, where they are pickles, and where a file is missing or cut short.
    """
    where, stem = f"{name}/{part}", stem or STEMS.get(part, "model")
    for variant in VARIANTS:
        single = folder / part / ".".join([stem, *filter(None, [variant]), "safetensors"])
        index = (
            folder / part / ".".join([stem, "safetensors.index", *filter(None, [variant]), "json"])
        )
        if single.exists():
            files = [single]
        elif index.is_file():
            files = [folder / part / name for name in _shards(index)]
        else:
            continue
        if missing := [file.name for file in files if not file.exists()]:
            raise IncompleteError(
                f"{where} lacks {len(missing)} of {len(files)} files ({missing[0]}): the copy or "
                f"download is incomplete. {AGAIN}"
            )
        for file in files:
            refuse_scaled(where, read_header(file))
        return Weights(variant=variant, files=tuple(files))
    pickles = [file.name for file in (folder / part).iterdir() if file.suffix in PICKLES]
    if pickles:
        raise ModelError(
            f"{where} holds pickle weights ({pickles[0]}), which can run code when opened and are "
            "never loaded. Save the model again as safetensors: "
            "pipe.save_pretrained(folder, safe_serialization=True)."
        )
    raise IncompleteError(f"{where} holds no weights: the copy or download is incomplete. {AGAIN}")


def _shards(index: Path) -> list[str]:
    """File names of a sharded checkpoint; they may lead nowhere else."""
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ModelError(f"{index.parent.name}/{index.name} names no files. {AGAIN}")
    found = sorted({str(name) for name in cast(dict[str, Any], names).values()})
    for name in found:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(f"{index.parent.name}/{index.name} names {name!r}, which is refused.")
    return found


def refuse_code(folder: Path, parts: Iterable[str], root: Path, name: str) -> None:
    """Raises ModelError, by name, for Python files, for configurations that ask for code of their
    own, and for links that lead out of `root`. `name` is what the model is called.
    """
    inside = root.resolve()

    def called(file: Path) -> str:
        return "/".join([name, *file.relative_to(folder).parts])

    for place in (folder, *(folder / part for part in parts)):
        entries: Sequence[Path] = sorted(place.iterdir()) if place.is_dir() else []
        for file in (place, *entries):
            if not file.resolve().is_relative_to(inside):
                raise ModelError(
                    f"{called(file)} is a link that leads out of the folder of "
                    "models, and is not followed. Move the files in, or name their own folder in "
                    "LIGHTBOX_MODELS."
                )
            if file.suffix == ".py":
                raise ModelError(
                    f"{called(file)} is Python code that came with the model. "
                    "Models with code of their own are never loaded: use one without."
                )
        config = place / "config.json"
        if config.is_file() and "auto_map" in read_json(config):
            raise ModelError(
                f"{called(config)} asks for code of its own (auto_map), which "
                "is never run: use a model without."
            )
    index = read_json(folder / "model_index.json")
    for key, value in index.items():
        wanted = cast(list[object], value) if isinstance(value, list) else []
        library = wanted[0] if wanted else None
        if key == "_class_name" and wanted:
            raise ModelError(f"{name} asks for a custom pipeline ({library}): never run.")
        if library not in (None, "diffusers", "transformers", "stable_diffusion"):
            raise ModelError(
                f"{name}'s model_index.json takes its {key} from {library}: only parts of "
                "diffusers and transformers are loaded."
            )


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object. Raises ModelError."""
    where = f"{file.parent.name}/{file.name}"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise IncompleteError(
            f"{where} cannot be read ({first_line(error)}): the model's copy or download is "
            "incomplete."
        ) from error
    if not isinstance(found, dict):
        raise ModelError(f"{where} is not a JSON object.")
    return cast(dict[str, Any], found)


def first_line(error: BaseException) -> str:
    """An error for one line of text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
