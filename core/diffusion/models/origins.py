"""Where models are: the bundled one, the model roots, the Hugging Face cache. Imports no torch.

A model is called by its name: a folder or file of a root, or a hub id. Paths are read too, for the
command line; they stand in no list.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.diffusion.models.errors import IncompleteError, ModelError
from core.diffusion.models.files.folder_family import PIPELINES
from core.diffusion.models.files.single_file import is_checkpoint
from core.diffusion.models.files.weights import read_json

if TYPE_CHECKING:
    from huggingface_hub import CachedRepoInfo

BUNDLED = "bundled"
BUNDLED_FOLDER = Path(__file__).resolve().parents[3] / "models" / "bundled"
ENDING = ".safetensors"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a model's files are: a folder in diffusers layout or a single file, within `root`.

    `revision` is the commit of a model from the hub.
    """

    source: str
    path: Path
    root: Path
    revision: str = ""


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


def hub_cache() -> Path:
    """Return where huggingface_hub keeps its models: as HF_HUB_CACHE or HF_HOME say, now."""
    if named := os.environ.get("HF_HUB_CACHE"):
        return expanded(named)
    home = os.environ.get("HF_HOME")
    return (expanded(home) if home else Path.home() / ".cache" / "huggingface") / "hub"


def locate(source: str) -> Origin:
    """The files of `source`: "bundled", a name in a model root, a path, or a hub id that is in
    the cache, with "@revision" if one is wanted. Raises ModelError where there are none.
    """
    if not source.strip():
        raise ModelError('No model is named. Use "bundled", or a folder of a diffusers model.')
    if source == BUNDLED:
        if not _is_model_folder(BUNDLED_FOLDER):
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
    if (cached := _cached(source)) is not None:
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
        if not _is_model_folder(path):
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


def split_id(source: str) -> tuple[str, str]:
    """A hub id and the revision wanted of it ("" for the newest): "owner/name@revision"."""
    name, _, revision = source.partition("@")
    return name, revision


def is_hub_id(source: str) -> bool:
    """Return whether `source` could be the id of a model on the hub: "owner/name", maybe
    "@revision".
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    name, _ = split_id(source)
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return name.count("/") == 1 and not name.startswith((".", "~"))


def cached_models() -> list[str]:
    """Ids of the models in the Hugging Face cache that this version may run: each commit as
    "id@commit", and the bare id, which means one of them.
    """
    found: list[str] = []
    for repo in _scanned(hub_cache()):
        plain = _snapshot(repo, "")
        for commit in repo.revisions:
            index = commit.snapshot_path / "model_index.json"
            if leads_within(index, repo.repo_path) and _names_pipeline(commit.snapshot_path):
                found.append(pinned(repo.repo_id, commit.commit_hash))
                if plain is not None and commit.commit_hash == plain.revision:
                    found.append(repo.repo_id)
    return sorted(found)


def pinned(name: str, commit: str) -> str:
    """A hub id that means one commit for good."""
    return f"{name}@{commit[:12]}"


def _names_pipeline(folder: Path) -> bool:
    try:
        return read_json(folder / "model_index.json").get("_class_name") in PIPELINES
    except (ModelError, TypeError):  # a _class_name that is a list is no name
        return False


def _cached(source: str) -> Origin | None:
    name, revision = split_id(source)
    for repo in _scanned(hub_cache()):
        if repo.repo_id == name and (found := _snapshot(repo, revision)) is not None:
            return Origin(source=source, path=found.path, root=found.root, revision=found.revision)
    return None


def _snapshot(repo: CachedRepoInfo, revision: str) -> Origin | None:
    """The commit that `revision` names; without one "main", else the newest that is here."""
    commits = {commit.commit_hash: commit for commit in repo.revisions}
    newest = max(commits.values(), key=lambda commit: commit.last_modified, default=None)
    if revision:
        starting = [commit for name, commit in commits.items() if name.startswith(revision)]
        chosen = repo.refs.get(revision) or (starting[0] if len(starting) == 1 else None)
    else:
        chosen = repo.refs.get("main") or newest
    if chosen is None or not _is_model_folder(chosen.snapshot_path):
        return None
    return Origin(
        source=repo.repo_id,
        path=chosen.snapshot_path,
        root=repo.repo_path,
        revision=chosen.commit_hash,
    )


def _scanned(cache: Path) -> list[CachedRepoInfo]:
    """The models in a cache, read again when one has come or gone."""
    state = tuple(sorted(_cache_state(cache)))
    return _scan(cache, state) if state else []


def _cache_state(cache: Path) -> Iterator[tuple[str, int]]:
    for repo in cache.glob("models--*"):
        for place in (repo / "snapshots", repo / "refs", *(repo / "snapshots").glob("*")):
            try:
                yield str(place), place.stat().st_mtime_ns
            except OSError:
                continue


@functools.lru_cache(maxsize=4)
def _scan(cache: Path, state: tuple[tuple[str, int], ...]) -> list[CachedRepoInfo]:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        return [repo for repo in scan_cache_dir(cache).repos if repo.repo_type == "model"]
    except (CacheNotFound, ValueError):
        return []


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
        return path.suffix == ENDING or _is_model_folder(path)
    is_file = path.suffix == ENDING and path.is_file()
    return (is_file and is_checkpoint(path)) or _is_model_folder(path)


def leads_within(path: Path, root: Path) -> bool:
    """Whether a path stays in `root` once its links are followed; nothing is opened for it."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a circle of links
        return False


def _is_model_folder(folder: Path) -> bool:
    return (folder / "model_index.json").is_file()


def _root_of(folder: Path) -> Path:
    """What the links of a folder may lead to: in the cache, the blobs of their own model."""
    snapshots = folder.resolve().parent
    is_cached = snapshots.name == "snapshots" and snapshots.parent.name.startswith("models--")
    return snapshots.parent if is_cached else folder


def expanded(source: str) -> Path:
    """Return the path with the home directory for "~"; a "~name" of nobody stays as it is."""
    try:
        return Path(source).expanduser()
    except RuntimeError:
        return Path(source)
