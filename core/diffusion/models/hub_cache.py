"""The models in the Hugging Face cache, as huggingface_hub keeps them. Imports no torch."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from core.diffusion.models.errors import ModelError
from core.diffusion.models.files.folder_family import PIPELINES
from core.diffusion.models.files.walked import leads_within
from core.diffusion.models.files.weights import read_json
from core.diffusion.models.origin import Origin, expanded, is_model_folder

if TYPE_CHECKING:
    from huggingface_hub import CachedRepoInfo


def hub_cache() -> Path:
    """Return where huggingface_hub keeps its models: as HF_HUB_CACHE or HF_HOME say, now."""
    if named := os.environ.get("HF_HUB_CACHE"):
        return expanded(named)
    home = os.environ.get("HF_HOME")
    return (expanded(home) if home else Path.home() / ".cache" / "huggingface") / "hub"


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


def find_cached(source: str) -> Origin | None:
    """The model that a hub id names in the cache; None where it is not there."""
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
    if chosen is None or not is_model_folder(chosen.snapshot_path):
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
