"""Downloading a model from the Hugging Face hub: only what is read, with progress, to be stopped.

What is asked for is the configurations, the vocabularies and one set of safetensors weights. The
files land in the ordinary Hugging Face cache. Imports no torch.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.diffusion.models.errors import IncompleteError, ModelError
from core.diffusion.models.families import Configs
from core.diffusion.models.files.folder_family import family_of
from core.diffusion.models.files.weights import PICKLES, STEMS, VARIANTS, first_line, read_json
from core.diffusion.models.hub_cache import hub_cache, split_id
from core.diffusion.models.origins import where_looked

SPARE_BYTES = 512 * 2**20
"""What has to stay free on the disk beyond the download itself."""


@dataclass(frozen=True, kw_only=True)
class DownloadProgress:
    """Bytes that are here, of all files that are wanted: `str` is a line for a person."""

    source: str
    done: int
    total: int

    def __str__(self) -> str:
        share = self.done / self.total if self.total else 1.0
        return (
            f"Downloading {self.source}: {self.done / 1e9:.2f} of {self.total / 1e9:.2f} GB "
            f"({share:.0%})"
        )


Report = Callable[[DownloadProgress], None]
"""Told of every piece that has come; raises DownloadStoppedError to stop."""


class DownloadStoppedError(ModelError):
    """Somebody stopped a download; what has come stays, and the next one goes on from there."""


def fetch(source: str, report: Report | None = None) -> None:
    """Downloads the model of a hub id, "owner/name" or "owner/name@revision", into the cache.

    Raises ModelError: no connection, no such model, nothing safe in it, a family that is not
    run, no room on the disk; DownloadStoppedError where `report` raises it.
    """
    name, revision = split_id(source)
    try:
        sizes, commit = _listing(name, revision or None)
        index = read_json(_get(name, commit, "model_index.json"))
        _check_family(source, name, commit, index, sizes)
        wanted = wanted_files(source, index, sizes)
        _check_room(source, sum(sizes[file] for file in wanted))
        _get_all(source, name, commit, {file: sizes[file] for file in wanted}, report)
    except ModelError:
        raise
    except Exception as error:
        raise _explained(source, error) from error


def wanted_files(source: str, index: Mapping[str, object], sizes: Mapping[str, int]) -> list[str]:
    """Return those of a repository's files that are read. Raises ModelError where a part has no
    safe weights.
    """
    parts = [part for part in index if isinstance(index[part], list) and not part.startswith("_")]
    unread = ("safety_checker", "feature_extractor", "image_encoder", "controlnet")
    found = ["model_index.json"]
    for part in (part for part in parts if part not in unread):
        inside = [file for file in sizes if file.startswith(f"{part}/") and file.count("/") == 1]
        found += [file for file in inside if file.endswith((".json", ".txt"))]
        weights = [file for file in inside if file.endswith((".safetensors", *PICKLES))]
        if weights:
            found += _one_set(source, part, weights)
    return sorted(set(found))


def _one_set(source: str, part: str, files: Sequence[str]) -> list[str]:
    """One variant of a part's weights, sharded or not: half precision where there is a GPU, which
    computes in it anyway, else whole precision.
    """
    stem = STEMS.get(part, "model")
    halves_first = sorted(VARIANTS, key=lambda variant: "16" not in variant)
    for variant in halves_first if _has_cuda() else VARIANTS:
        middle = f".{variant}" if variant else ""
        start = f"{part}/{stem}{middle}"
        chosen = [
            file
            for file in files
            if file == f"{start}.safetensors"
            or (file.startswith(f"{start}-0") and file.endswith(".safetensors"))
        ]
        if chosen:
            return chosen
    raise ModelError(
        f"{source} offers no safetensors weights for its {part}, only "
        f"{Path(files[0]).name}: other formats can run code when opened and are never loaded. "
        "Look for the same model as safetensors."
    )


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _listing(name: str, revision: str | None) -> tuple[dict[str, int], str]:
    """List a repository's files with their sizes in bytes, and its commit.

    The cache keeps which commit a branch or tag means now: "main" where none is named.
    """
    from huggingface_hub import HfApi

    api = HfApi(endpoint=_endpoint())
    commit = api.resolve_revision(name, revision=revision, cache_dir=hub_cache()).resolved
    found = api.model_info(name, revision=commit, files_metadata=True)
    sizes = {file.rfilename: int(file.size or 0) for file in found.siblings or ()}
    if "model_index.json" not in sizes:
        raise ModelError(
            f"{name} holds no model in diffusers layout (it has no model_index.json). Download "
            "its .safetensors checkpoint yourself into a folder of LIGHTBOX_MODELS."
        )
    return sizes, commit


def _check_family(
    source: str, name: str, commit: str, index: dict[str, Any], sizes: Mapping[str, int]
) -> None:
    """Check, before gigabytes come, that it is a model that is run."""

    def small(file: str) -> dict[str, Any]:
        return read_json(_get(name, commit, file)) if file in sizes else {}

    family_of(
        source,
        Configs(
            index=index,
            unet=small("unet/config.json"),
            scheduler=small("scheduler/scheduler_config.json"),
        ),
    )


def _check_room(source: str, total: int) -> None:
    cache = hub_cache()
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if free < total + SPARE_BYTES:
        raise ModelError(
            f"{source} has {total / 1e9:.1f} GB, and {cache} has {free / 1e9:.1f} GB left. Make "
            "room, or set HF_HOME to a folder on a larger disk."
        )


def _get(name: str, commit: str, file: str, tqdm_class: Any = None) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(
        hf_hub_download(
            name,
            file,
            revision=commit,
            cache_dir=hub_cache(),
            endpoint=_endpoint(),
            tqdm_class=tqdm_class,
        )
    )


def _get_all(
    source: str, name: str, commit: str, sizes: Mapping[str, int], report: Report | None
) -> None:
    from huggingface_hub.utils import tqdm

    total, before = sum(sizes.values()), 0

    class Told(tqdm):
        """huggingface_hub's progress bar, drawn nowhere, that reports every piece."""

        def __init__(self, *args: Any, **options: Any) -> None:
            self.come = int(options.get("initial") or 0)
            super().__init__(*args, **(options | {"disable": True}))

        def update(self, n: float | None = 1) -> bool | None:
            self.come += int(n or 0)
            report_done(before + self.come)
            return None

    def report_done(done: int) -> None:
        if report is not None:
            report(DownloadProgress(source=source, done=min(done, total), total=total))

    for file, size in sizes.items():
        report_done(before)
        _get(name, commit, file, Told)
        before += size
    report_done(total)


def _explained(source: str, error: Exception) -> ModelError:
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
        RevisionResolutionError,
    )

    if isinstance(error, GatedRepoError):
        return ModelError(
            f"{source} is given only to those who have accepted its licence: do so on its page on "
            "huggingface.co, then log in here with 'hf auth login'."
        )
    if isinstance(error, RevisionNotFoundError):
        return ModelError(f"{source}: there is no such revision on the hub. Check what follows @.")
    if isinstance(error, RepositoryNotFoundError):
        return ModelError(
            f"{source} is not on the hub, or it is private. Check the spelling: an id has the form "
            "owner/name."
        )
    if isinstance(error, OSError) and error.errno == 28:
        return ModelError(
            f"The disk is full: {source} was not downloaded to the end. Make room at "
            f"{hub_cache()} and ask for it again; it goes on where it stopped."
        )
    offline = (
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RevisionResolutionError,
        ConnectionError,
    )
    if isinstance(error, offline) or type(error).__module__.startswith(
        ("httpx", "httpcore", "requests")
    ):
        return IncompleteError(
            f"{source} is not on this machine, and the hub cannot be reached "
            f"({first_line(error)}). {where_looked()} Connect, or copy the model into one of them."
        )
    return ModelError(f"{source} could not be downloaded ({first_line(error)}). Try again later.")
