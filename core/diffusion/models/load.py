"""What a model is, and loading it: safetensors only, no code from the model.

Reading a description imports no torch. Where models are is said in origins.py, what family they
are of in families.py.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.diffusion.models.download import Report, fetch
from core.diffusion.models.families import (
    FAMILIES,
    TWO_TOWERS,
    Configs,
    Family,
    IncompleteError,
    ModelError,
    Tower,
    family_of,
)
from core.diffusion.models.hashes import file_sha256
from core.diffusion.models.origins import (
    BUNDLED,
    BUNDLED_FOLDER,
    Origin,
    is_hub_id,
    list_models,
    locate,
)
from core.diffusion.models.single_file import recognise
from core.diffusion.models.weights import read_json, refuse_code, weights_of
from core.diffusion.recipe.libraries import library

if TYPE_CHECKING:
    import torch

__all__ = [
    "BUNDLED",
    "BUNDLED_FOLDER",
    "LoadedModel",
    "ModelError",
    "ModelInfo",
    "describe",
    "ensure_here",
    "is_on_its_hub",
    "list_models",
    "load_model",
]

State = tuple[tuple[str, int, int], ...]
"""Name, size and modification time of every file: changes when the model does."""

_TOWER_PARTS = tuple(part for tower in TWO_TOWERS for part in (tower.tokenizer, tower.encoder))
_ALL_PARTS = (*_TOWER_PARTS, "unet", "vae", "scheduler")


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What can be said of a model without loading its weights.

    `fingerprint` is the SHA-256 (hex) over every part's configuration and weights: two folders
    with the same content are the same model, under whatever name. A single file's is that of the
    file. `preview_weight` (C x 3) and `preview_bias` (3) turn scaled latents into RGB in [-1, 1].
    Of a single `file` the `folder` holds the configurations it is read with. `revision` is the
    commit of a model from the hub.
    """

    source: str
    name: str
    folder: Path
    fingerprint: str
    default_width: int
    default_height: int
    default_guidance_scale: float
    default_num_inference_steps: int
    default_scheduler: str
    example_prompts: tuple[str, ...]
    vae_scale_factor: int
    latent_channels: int
    scheduler_config: dict[str, Any]
    preview_weight: tuple[tuple[float, ...], ...]
    preview_bias: tuple[float, ...]
    family_name: str = "SD 1.x"
    file: Path | None = None
    revision: str = ""
    zeroes_empty_negative: bool = False

    @property
    def sha_short(self) -> str:
        """The ten characters that AUTOMATIC1111 calls a model's hash."""
        return self.fingerprint[:10]

    @property
    def family(self) -> Family:
        return FAMILIES[self.family_name]


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedModel:
    """A model's parts on one device in one dtype, in evaluation mode.

    They are run under `torch.no_grad()`. That their weights could have gradients stays as diffusers
    leaves it: PyTorch multiplies matrices in another order where they cannot, and the pictures
    would not be those of a pipeline that somebody else loads. The VAE's dtype may be wider than
    `dtype`: see `placement.vae_dtype`. The second tokenizer and encoder are those of the SDXL
    families, None elsewhere.
    """

    info: ModelInfo
    tokenizer: Any
    text_encoder: Any
    unet: Any
    vae: Any
    device: torch.device
    dtype: torch.dtype
    tokenizer_2: Any = None
    text_encoder_2: Any = None

    def towers(self) -> Iterator[tuple[Tower, Any, Any]]:
        """Each text encoder of the family: its row, its tokenizer and itself."""
        for tower in self.info.family.towers:
            yield tower, getattr(self, tower.tokenizer), getattr(self, tower.encoder)

    def pipeline(self, scheduler: str | None = None, *, image_to_image: bool = False) -> Any:
        """diffusers' own pipeline of the family over these very parts (no copy of weights)."""
        import diffusers

        from core.diffusion.recipe.schedulers import SCHEDULERS

        family = self.info.family
        row = SCHEDULERS[scheduler or self.info.default_scheduler]
        parts: dict[str, Any] = {"unet": self.unet, "vae": self.vae}
        for tower, tokenizer, encoder in self.towers():
            parts |= {tower.tokenizer: tokenizer, tower.encoder: encoder}
        if family.base == "SDXL":
            parts["force_zeros_for_empty_prompt"] = self.info.zeroes_empty_negative
            parts["add_watermarker"] = False
        else:
            parts |= {"safety_checker": None, "feature_extractor": None}
            parts["requires_safety_checker"] = False
        name = family.image_to_image if image_to_image else family.text_to_image
        pipe = getattr(diffusers, name)(**parts, scheduler=row.build(self.info.scheduler_config))
        pipe.set_progress_bar_config(disable=True)
        return pipe


def describe(source: str) -> ModelInfo:
    """Reads a model's JSON files and fingerprints its weights (cached until a file changes).

    `source` is "bundled", a name in a model root, a folder in diffusers layout, a .safetensors
    checkpoint, or a hub id whose files are in the local Hugging Face cache. Raises ModelError.
    """
    origin = locate(source)
    if origin.path.is_file():
        return _describe_file(origin, _state_of([origin.path]))
    return _describe_folder(origin, _state(origin.path))


def load_model(
    source: str,
    *,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    report: Report | None = None,
) -> LoadedModel:
    """Loads the parts of a Stable Diffusion model: safetensors only, no code from the model.

    `device` defaults to LIGHTBOX_DEVICE, else CUDA where there is one, else the CPU; `dtype` to
    LIGHTBOX_DTYPE, else float16 on CUDA and float32 elsewhere; LIGHTBOX_OFFLOAD says which parts
    wait in main memory. A hub id whose files are not all
    in the cache is downloaded; `report` is told how far that is. Raises ModelError.
    """
    for name in ("transformers", "diffusers"):
        library(name)  # pages may be importing them at this very moment
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    from core.diffusion.models.loading import load_file, load_folder
    from core.diffusion.models.placement import choose_device, choose_dtype, offload_mode, place

    # Their bars would run through the server's output and the command line's own progress.
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    info = ensure_here(source, report)
    target = choose_device(device)
    kind = dtype or choose_dtype(target)
    parts = (load_file if info.file else load_folder)(info, kind)
    place(info, parts, target, kind, offload_mode(target))
    return LoadedModel(info=info, device=target, dtype=kind, **parts)


def ensure_here(source: str, report: Report | None = None) -> ModelInfo:
    """The description, after a download where something is missing that the hub may have.

    Raises ModelError, and whatever `report` raises.
    """
    if is_on_its_hub(source):
        fetch(source, report)
    return describe(source)


def is_on_its_hub(source: str) -> bool:
    """Whether something of a hub's model is missing here, so that a download may bring it."""
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


def _state(folder: Path) -> State:
    files = [folder / "model_index.json", folder / "lightbox.json", folder / "preview.json"]
    for name in _ALL_PARTS:
        files += sorted((folder / name).glob("*")) if (folder / name).is_dir() else []
    return _state_of(file for file in files if file.is_file())


def _state_of(files: Any) -> State:
    return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)


@functools.lru_cache(maxsize=32)
def _describe_folder(origin: Origin, state: State) -> ModelInfo:
    folder = origin.path
    # A snapshot's folder is called by its commit.
    called = origin.source if origin.revision else folder.name
    index = read_json(folder / "model_index.json")
    refuse_code(folder, _ALL_PARTS, origin.root, called)
    unet, scheduler = (
        read_json(folder / part / file) if (folder / part).is_dir() else {}
        for part, file in (("unet", "config.json"), ("scheduler", "scheduler_config.json"))
    )
    family = family_of(called, Configs(index=index, unet=unet, scheduler=scheduler))
    missing = [name for name in family.parts if not (folder / name).is_dir()]
    if missing:
        raise IncompleteError(
            f"{called} lacks {', '.join(missing)}: the copy or download is incomplete. Copy or "
            "download the model again."
        )
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
        fingerprint=_fingerprint(folder, family, state, weights, zeroes),
        zeroes=zeroes,
    )


@functools.lru_cache(maxsize=32)
def _describe_file(origin: Origin, state: State) -> ModelInfo:
    file = origin.path
    if not file.resolve().is_relative_to(origin.root.resolve()):
        raise ModelError(
            f"{file.name} is a link that leads out of the folder of models, and is not followed. "
            "Move the file in, or name its own folder in LIGHTBOX_MODELS."
        )
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
    channels = int(vae["latent_channels"])
    fitted = _optional(folder / "preview.json")
    if not fitted and channels != len(family.preview_weight):
        raise ModelError(f"{name} has {channels} latent channels; 4 are supported.")
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
        vae_scale_factor=factor,
        latent_channels=channels,
        scheduler_config=scheduler,
        preview_weight=tuple(map(tuple, fitted.get("weight", family.preview_weight))),
        preview_bias=tuple(fitted.get("bias", family.preview_bias)),
        family_name=family.name,
        file=origin.path if origin.path.is_file() else None,
        revision=origin.revision,
        zeroes_empty_negative=zeroes,
    )


def _optional(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}


def _fingerprint(
    folder: Path, family: Family, state: State, weights: list[Path], zeroes: bool
) -> str:
    """What gives other pixels gives another fingerprint: the weights that are read, vocabulary,
    configurations.
    """
    whole = hashlib.sha256()
    for path, _, _ in state:
        file = Path(path)
        name = file.relative_to(folder).as_posix()
        is_read = file.suffix in (".json", ".txt") or file in weights
        if file.parent.name in family.parts and is_read:
            whole.update(f"{name}\0".encode())
            whole.update(bytes.fromhex(file_sha256(file)))
    if zeroes:
        whole.update(b"zeroes empty negative prompt")
    return whole.hexdigest()
