"""Where models are: the bundled one, the model roots, the Hugging Face cache. Imports no torch.

A model is called by its name: a folder or file of a root, or a hub id. Paths are read too, for the
command line; they stand in no list.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from core.diffusion.models.errors import IncompleteError, ModelError
from core.diffusion.models.files.single_file import is_checkpoint
from core.diffusion.models.files.walked import leads_within
from core.diffusion.models.hub_cache import cached_models, find_cached, hub_cache
from core.diffusion.models.origin import Origin, expanded, is_model_folder

BUNDLED = "bundled"
BUNDLED_FOLDER = Path(__file__).resolve().parents[3] / "models" / "bundled"
ENDING = ".safetensors"


def list_models() -> list[str]:
    """What `load_model` can take here: "bundled", then the folders and .safetensors checkpoints
    in LIGHTBOX_MODELS, then the models in the Hugging Face cache.

    Names, not paths: they stand in every picture that is exported.
    """
    rooted = sorted(name for root in model_roots() for name, _ in _entries(root))
    return list(dict.fromkeys([BUNDLED, *rooted, *cached_models()]))


def model_roots() -> list[Path]:
    """The folders in LIGHTBOX_MODELS, which are separated as in PATH. Where two of them have a
    model of the same name, the first one's is meant.
    """
    names = os.environ.get("LIGHTBOX_MODELS", "").split(os.pathsep)
    return [expanded(name.strip()) for name in names if name.strip()]


def locate(source: str) -> Origin:
    """The files of `source`: "bundled", a name in a model root, a path, or a hub id that is in
    the cache, with "@revision" if one is wanted. Raises ModelError where there are none.
    """
    if not source.strip():
        raise ModelError('No model is named. Use "bundled", or a folder of a diffusers model.')
    if source == BUNDLED:
        if not is_model_folder(BUNDLED_FOLDER):
            raise ModelError(
                "The bundled model is missing: restore the folder models/bundled from the "
                "repository."
            )
        return Origin(source=source, path=BUNDLED_FOLDER, root=BUNDLED_FOLDER)
    if "\0" in source:
        raise ModelError(f"{source!r} is no model's name: it contains a NUL character.")
    for root in model_roots():
        if (path := dict(_entries(root)).get(source)) is not None:
            return Origin(source=source, path=path, root=root)
    if (found := _at_path(source)) is not None:
        return found
    if (cached := find_cached(source)) is not None:
        return cached
    raise IncompleteError(
        f"{_cut(source)!r} is not on this machine. {where_looked()} Check the spelling, or give "
        "the path of a folder in diffusers layout."
    )


_keeps_to_roots = False


def keep_to_roots() -> None:
    """Let paths outside the model roots name no model in this process from here on.

    For the app: there a name may come from an address, a picture or a saved sweep, and asking
    whether a file is there tells of it.
    """
    global _keeps_to_roots
    _keeps_to_roots = True


def _at_path(source: str) -> Origin | None:
    """The model that a path names, None where there is none or where it may not be looked for."""
    if source.startswith(("//", "\\\\", "/\\", "\\/")):
        return None  # Windows would ask the host that it names
    path = expanded(source)
    if _keeps_to_roots and not _is_in_a_root(path):
        return None
    try:
        return _origin_of(source, path)
    except OSError:  # a name that no file can have
        return None


def _is_in_a_root(path: Path) -> bool:
    """Whether a path lies in a model root, by its letters first: nothing else is touched."""
    if not path.is_absolute():
        return False
    plain = Path(os.path.normpath(path))
    within = [root for root in model_roots() if plain.is_relative_to(os.path.abspath(root))]
    try:
        return any(plain.resolve().is_relative_to(root.resolve()) for root in within)
    except (OSError, RuntimeError):  # a name that is too long, a circle of links
        return False


def _cut(source: str) -> str:
    return source if len(source) <= 120 else f"{source[:120]}…"


def _origin_of(source: str, path: Path) -> Origin | None:
    if path.is_file():
        return Origin(source=source, path=path, root=path.resolve().parent)
    if path.is_dir():
        if not is_model_folder(path):
            raise ModelError(
                f"{source} is no diffusers model: it has no model_index.json. Give the folder "
                "that save_pretrained wrote, the one holding unet/ and vae/."
            )
        return Origin(source=source, path=path, root=_root_of(path))
    return None


def where_looked() -> str:
    """Return where a model would have been found, for a message."""
    roots = [str(root) for root in model_roots()]
    rooted = f"the folders of LIGHTBOX_MODELS ({', '.join(roots)})" if roots else "no model folder"
    said = "" if roots else " (LIGHTBOX_MODELS names none)"
    return f"Looked in {rooted}{said} and in the Hugging Face cache ({hub_cache()})."


def _entries(root: Path) -> Iterator[tuple[str, Path]]:
    """Names and paths of what a root holds: model folders and checkpoint files."""
    try:
        found = sorted(root.iterdir())
    except OSError:
        return
    for path in found:
        if path.name != BUNDLED and _is_model(path, root):
            yield path.name, path


def _is_model(path: Path, root: Path) -> bool:
    """Whether an entry of a root is listed. A link that leads out is not opened: it is listed by
    its name alone, so that choosing it says why it is not followed.
    """
    if not leads_within(path, root):
        return path.suffix == ENDING or is_model_folder(path)
    is_file = path.suffix == ENDING and path.is_file()
    return (is_file and is_checkpoint(path)) or is_model_folder(path)


def _root_of(folder: Path) -> Path:
    """What the links of a folder may lead to: in the cache, the blobs of their own model."""
    snapshots = folder.resolve().parent
    is_cached = snapshots.name == "snapshots" and snapshots.parent.name.startswith("models--")
    return snapshots.parent if is_cached else folder
