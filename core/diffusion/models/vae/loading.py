"""A VAE in place of the model's own: loaded once, beside the model, and kept with it.

It stands where the model's own stands, in the same precision: a pipeline of diffusers given `vae=`
computes the same.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch

from core.diffusion.models.errors import ModelError
from core.diffusion.models.files.weights import first_line
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.models.placement import place_vae
from core.diffusion.models.vae.files import VaeFile, misfit, refused, wanted_vae
from core.diffusion.settings import GenerationSettings

KEPT = 4
"""VAEs that stay in memory beside a model's own; the one used longest ago goes first."""

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Kept:
    """The VAEs of one model by their SHA-256, in the order of use."""

    loaded: OrderedDict[str, Any] = field(default_factory=OrderedDict[str, Any])


_KEPT: WeakKeyDictionary[Any, _Kept] = WeakKeyDictionary()


def model_for(model: LoadedModel, settings: GenerationSettings) -> LoadedModel:
    """The model with the VAE that the settings ask for. Raises SettingsError where it is not here
    or does not fit.
    """
    return with_vae(model, wanted_vae(settings))


def with_vae(model: LoadedModel, vae: VaeFile | None) -> LoadedModel:
    """The model with another VAE; itself for None. The parts are shared, nothing is copied.

    Raises SettingsError for one that does not fit or cannot be loaded.
    """
    if vae is None:
        return model
    kept = _KEPT.setdefault(model.unet, _Kept()).loaded
    if vae.sha not in kept:
        if reason := misfit(vae, model.info):
            raise refused(reason)
        kept[vae.sha] = _load(model, vae)
        while len(kept) > KEPT:
            kept.popitem(last=False)
    kept.move_to_end(vae.sha)
    part = kept[vae.sha]
    form = replace(
        model.info.latent_format,
        scaling_factor=float(part.config.scaling_factor),
        shift_factor=float(part.config.get("shift_factor") or 0.0),
    )
    return replace(model, vae=part, info=replace(model.info, latent_format=form))


def _load(model: LoadedModel, vae: VaeFile) -> Any:
    """The part on the model's device."""
    import diffusers

    cls: Any = getattr(diffusers, vae.layout.class_name)
    try:
        part = (_from_folder if vae.is_folder else _from_file)(cls, model, vae).eval()
        place_vae(model, part)
    except torch.OutOfMemoryError:
        part = None  # raised below: in this block the traceback would hold the tensors
    except ModelError as error:
        raise refused(str(error).rstrip(".")) from error
    except Exception as error:
        log.info("VAE %s was refused", vae.name, exc_info=error)
        raise refused(
            f"{vae.name} cannot be loaded ({first_line(error)}): copy it again"
        ) from error
    if part is None:
        raise refused(f"{vae.name} does not fit into the memory of {model.device} beside the model")
    return part


def _from_folder(cls: Any, model: LoadedModel, vae: VaeFile) -> Any:
    part, found = cls.from_pretrained(
        vae.path,
        use_safetensors=True,
        dtype=model.dtype,
        local_files_only=True,
        output_loading_info=True,
        **({"variant": vae.variant} if vae.variant else {}),
    )
    _refuse_missing(vae, found["missing_keys"])
    return part


def _from_file(cls: Any, model: LoadedModel, vae: VaeFile) -> Any:
    """By diffusers' own conversion of its names, and the configuration of the model's VAE; a tiny
    one by the configuration that all published ones have.
    """
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
    from safetensors.torch import load_file

    state: dict[str, Any] = load_file(vae.path)
    if vae.layout.class_name == "AutoencoderTiny":
        part = cls(latent_channels=vae.layout.channels)
        _refuse_missing(vae, [key for key in part.state_dict() if key not in state])
        part.load_state_dict(state)
        return part.to(model.dtype)
    with torch.device("meta"):
        empty = cls.from_config(cls.load_config(model.info.folder / "vae", local_files_only=True))
    wanted = empty.state_dict()
    if any(name not in state for name in wanted):
        try:
            converted = convert_ldm_vae_checkpoint(checkpoint=dict(state), config=empty.config)
        except KeyError as error:  # it asks for a tensor that is not there
            _refuse_missing(vae, [str(error.args[0])])
            raise
        # Tensors that have the names of diffusers already stay as they are.
        state = {**converted, **{name: one for name, one in state.items() if name in wanted}}
    _refuse_missing(vae, [name for name in wanted if name not in state])
    return cls.from_single_file(
        state,
        config=str(model.info.folder),
        subfolder="vae",
        local_files_only=True,
        dtype=model.dtype,
    )


def _refuse_missing(vae: VaeFile, missing: Any) -> None:
    if names := sorted(missing):
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise ModelError(
            f"{vae.name} lacks {names[0]}{more}, and a picture without would be chance: copy or "
            "download it again"
        )
