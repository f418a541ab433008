"""Describing a model: its family, its defaults and its fingerprint, from its files alone.

Imports no torch. Where models are is said in origins.py, what family they are of in families.py.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.diffusion.models.download import Report, fetch
from core.diffusion.models.errors import IncompleteError, ModelError
from core.diffusion.models.families import Configs, Family
from core.diffusion.models.files.folder_family import family_of
from core.diffusion.models.files.hashes import file_sha256
from core.diffusion.models.files.markers import yaml_beside
from core.diffusion.models.files.scheduler_config import as_loaded, wrong_value
from core.diffusion.models.files.single_file import recognise
from core.diffusion.models.files.sizes import refuse_impossible_sizes
from core.diffusion.models.files.walked import leads_within
from core.diffusion.models.files.weights import (
    AGAIN,
    first_line,
    read_json,
    refuse_code,
    weights_of,
)
from core.diffusion.models.fingerprint import (
    ALL_PARTS,
    State,
    fingerprint_of,
    state_of,
    state_of_files,
)
from core.diffusion.models.hub_cache import is_hub_id
from core.diffusion.models.info import ModelInfo
from core.diffusion.models.latent_format import SD_LATENTS, LatentFormat
from core.diffusion.models.origin import Origin
from core.diffusion.models.origins import locate
from core.diffusion.models.vocabulary import Vocabulary
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.recipe.settings_table import FROM_MODEL, SETTINGS

WRONG_TYPES = (
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    OSError,
)
"""What reading a configuration raises where its JSON is not of the shape that models have."""


def describe(source: str) -> ModelInfo:
    """Read a model's JSON files and fingerprint its weights (cached until a file changes).

    `source` is "bundled", a name in a model root, a folder in diffusers layout, a .safetensors
    checkpoint, or a hub id whose files are in the local Hugging Face cache. Raises ModelError.
    """
    origin = locate(source)
    if origin.path.is_file():
        beside = yaml_beside(origin.path)
        _refuse_leading_out(beside, origin.root)
        files = [origin.path, *([beside] if beside.is_file() else [])]
        _refuse_leading_out(origin.path, origin.root)
        return _described(_describe_file, origin, state_of_files(files))
    return _described(_describe_folder, origin, state_of(origin.path))


def _described(
    read: Callable[[Origin, State], ModelInfo], origin: Origin, state: State
) -> ModelInfo:
    """What `read` says; a value of a wrong type in a configuration is the model's mistake."""
    try:
        info = read(origin, state)
        if wrong := _wrong_default(info):
            raise ModelError(f"{info.name}: its {wrong}. {AGAIN}")
        return info
    except WRONG_TYPES as error:
        raise ModelError(
            f"{origin.path.name}: its configuration holds a value that no model has "
            f"({first_line(error)}). {AGAIN}"
        ) from error


def _wrong_default(info: ModelInfo) -> str:
    """What is wrong with a model's own defaults and examples, "" if nothing."""
    for name in FROM_MODEL:
        value = getattr(info, f"default_{name}")
        if why := SETTINGS[name].problem(value):
            return f"default_{name} {why}"
        if name == "scheduler" and value not in SCHEDULERS:
            return f"default_scheduler {value!r} is none of ours"
    if any(not _is_text(one) for one in info.example_prompts):
        return "example_prompts are no texts"
    return wrong_value(info.scheduler_config)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _refuse_leading_out(file: Path, root: Path) -> None:
    if not leads_within(file, root):
        raise ModelError(
            f"{file.name} is a link that leads out of the folder of models, and is not followed. "
            "Move the file in, or name its own folder in LIGHTBOX_MODELS."
        )


def ensure_here(source: str, report: Report | None = None) -> ModelInfo:
    """The description, after a download where something is missing that the hub may have.

    Raises ModelError, and whatever `report` raises.
    """
    if is_on_its_hub(source):
        fetch(source, report)
    return describe(source)


def is_on_its_hub(source: str) -> bool:
    """Return whether something of a hub's model is missing here, so that a download may bring
    it.
    """
    try:
        describe(source)
    except IncompleteError:
        with suppress(ModelError):
            if not locate(source).revision:  # a folder of that name, which is no copy of the hub's
                return False
        return is_hub_id(source)
    except ModelError:
        return False
    return False


@functools.lru_cache(maxsize=32)
def _describe_folder(origin: Origin, state: State) -> ModelInfo:
    folder = origin.path
    # A snapshot's folder is called by its commit.
    called = origin.source if origin.revision else folder.name
    refuse_code(folder, ALL_PARTS, origin.root, called)  # first: a link out is not opened
    index = read_json(folder / "model_index.json")
    unet, scheduler = (
        read_json(folder / part / file) if (folder / part).is_dir() else {}
        for part, file in (("unet", "config.json"), ("scheduler", "scheduler_config.json"))
    )
    family = family_of(called, Configs(index=index, unet=unet, scheduler=scheduler))
    scheduler, is_mended = as_loaded(scheduler, str(index.get("_class_name")))
    missing = [name for name in family.parts if not (folder / name).is_dir()]
    if missing:
        raise IncompleteError(
            f"{called} lacks {', '.join(missing)}: the copy or download is incomplete. Copy or "
            "download the model again."
        )
    refuse_impossible_sizes(folder, family.parts, called)
    weights = [
        file for part in family.weighed_parts for file in weights_of(folder, part, called).files
    ]
    card = _optional(folder / "lightbox.json")
    zeroes = bool(index.get("force_zeros_for_empty_prompt", True)) and family.base == "SDXL"
    return _info(
        origin,
        family,
        folder,
        scheduler=scheduler,
        name=str(card.get("name") or called),
        card=card,
        fingerprint=fingerprint_of(folder, family, state, weights, zeroes, is_mended),
        zeroes=zeroes,
    )


@functools.lru_cache(maxsize=32)
def _describe_file(origin: Origin, state: State) -> ModelInfo:
    file = origin.path
    found = recognise(file)
    fingerprint = file_sha256(file)
    if found.by_name or found.scheduler_changes:
        # The same bytes under another name would be another model.
        said = f"{fingerprint} {found.family.name} {sorted(found.scheduler_changes.items())}"
        fingerprint = hashlib.sha256(said.encode()).hexdigest()
    scheduler = read_json(found.folder / "scheduler" / "scheduler_config.json")
    return _info(
        origin,
        found.family,
        found.folder,
        scheduler=scheduler | found.scheduler_changes,
        name=file.stem,
        card={},
        fingerprint=fingerprint,
        zeroes=found.family.base == "SDXL",
    )


def _info(
    origin: Origin,
    family: Family,
    folder: Path,
    *,
    scheduler: dict[str, Any],
    name: str,
    card: Mapping[str, Any],
    fingerprint: str,
    zeroes: bool,
) -> ModelInfo:
    """What a row of FAMILIES says, unless the model's own card (lightbox.json) knows better."""
    vae, unet = (read_json(folder / part / "config.json") for part in ("vae", "unet"))
    if vae.get("latents_mean"):
        raise ModelError(
            f"{name} has latents with a mean of their own (Playground 2.5), which this version "
            "does not run: use an SDXL model."
        )
    factor = 2 ** (len(vae["block_out_channels"]) - 1)
    sample_size = unet.get("sample_size") or 64
    trained = int(sample_size if isinstance(sample_size, int) else sample_size[0]) * factor
    side = family.default_side or trained
    return ModelInfo(
        source=origin.source,
        name=name,
        folder=folder,
        fingerprint=fingerprint,
        default_width=int(card.get("default_width", side)),
        default_height=int(card.get("default_height", side)),
        default_guidance_scale=float(
            card.get("default_guidance_scale", family.default_guidance_scale)
        ),
        default_num_inference_steps=int(
            card.get("default_num_inference_steps", family.default_num_inference_steps)
        ),
        default_scheduler=str(card.get("default_scheduler", family.default_scheduler)),
        example_prompts=tuple(card.get("example_prompts", ())),
        vocabulary=Vocabulary.from_card(card),
        vae_scale_factor=factor,
        latent_format=_latent_format(name, family, vae, _optional(folder / "preview.json")),
        scheduler_config=scheduler,
        family_name=family.name,
        file=origin.path if origin.path.is_file() else None,
        revision=origin.revision,
        zeroes_empty_negative=zeroes,
    )


def _latent_format(
    name: str, family: Family, vae: Mapping[str, Any], fitted: Mapping[str, Any]
) -> LatentFormat:
    """The family's, but for what the VAE's configuration and a preview fitted to it say."""
    known, channels = family.latent_format, int(vae["latent_channels"])
    if not fitted and channels != known.channels:
        raise ModelError(f"{name} has {channels} latent channels; 4 are supported.")
    return replace(
        known,
        channels=channels,
        # diffusers' AutoencoderKL has SD's where its configuration says nothing.
        scaling_factor=float(vae.get("scaling_factor", SD_LATENTS.scaling_factor)),
        shift_factor=float(vae.get("shift_factor") or 0.0),
        preview_weight=tuple(map(tuple, fitted.get("weight", known.preview_weight))),
        preview_bias=tuple(fitted.get("bias", known.preview_bias)),
    )


def _optional(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}
