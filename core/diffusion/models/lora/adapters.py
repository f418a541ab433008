"""LoRAs in a loaded model, through peft: loaded once, switched on and off between UNet calls.

Every batch over a model asks for its own before it calls it: pages' tasks run between the steps of
another batch. Switched off, peft's layers are the model's own, to the last bit.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from safetensors.torch import load_file

from core.diffusion.models.errors import ModelError
from core.diffusion.models.files.weights import read_header
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.models.lora.files import LoraFile
from core.diffusion.models.lora.weights import LoraFileError, LoraMisfitError, lora_layers
from core.diffusion.settings import Problem, SettingsError

KEPT = 8
"""LoRAs that stay in memory, switched off; the one used longest ago goes first."""

log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Adapters:
    """The LoRAs of one model: SHA-256 in the order of use, and those that are on.

    `own` are the model's own weights and whether they could have gradients before: by that PyTorch
    chooses how it multiplies, and peft takes it from them.
    """

    own: list[tuple[torch.nn.Parameter, bool]]
    loaded: list[str] = field(default_factory=list[str])
    active: tuple[LoraFile, ...] = ()


_ADAPTERS: WeakKeyDictionary[Any, _Adapters] = WeakKeyDictionary()


def active_loras(model: LoadedModel) -> tuple[LoraFile, ...]:
    """Those that are on now."""
    found = _ADAPTERS.get(model.unet)
    return found.active if found else ()


def use_loras(model: LoadedModel, wanted: Sequence[LoraFile]) -> None:
    """Switches these on and all others off; loads those that are not in memory.

    Raises SettingsError for a file that does not fit the model, which is then as it was without
    any LoRA.
    """
    wanted = tuple(wanted)
    if wanted == active_loras(model):
        return
    adapters = _ADAPTERS.setdefault(model.unet, _Adapters(own=_own_weights(model)))
    pipe = model.pipeline()
    # peft warns of what is meant here: several at once, and one deleted while it was on.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="peft")
        _switch(model, pipe, adapters, wanted)
    adapters.active = wanted


def _switch(
    model: LoadedModel, pipe: Any, adapters: _Adapters, wanted: tuple[LoraFile, ...]
) -> None:
    try:
        for lora in wanted:
            if lora.sha not in adapters.loaded:
                _load(model, pipe, lora)
            else:
                adapters.loaded.remove(lora.sha)
            adapters.loaded.append(lora.sha)
        for sha in adapters.loaded[: -max(KEPT, len(wanted))]:
            pipe.delete_adapters(_name(sha))
            adapters.loaded.remove(sha)
        if wanted:
            pipe.enable_lora()
            pipe.set_adapters(
                [_name(lora.sha) for lora in wanted], [lora.weight for lora in wanted]
            )
        else:
            pipe.disable_lora()
        for weight, had_gradient in adapters.own:
            weight.requires_grad_(had_gradient and not wanted)
    except BaseException:
        # What a failure left half done is unknown: the model goes back to what it was.
        _ADAPTERS.pop(model.unet, None)
        pipe.unload_lora_weights()
        for weight, had_gradient in adapters.own:
            weight.requires_grad_(had_gradient)
        raise


def _load(model: LoadedModel, pipe: Any, lora: LoraFile) -> None:
    """Put one LoRA beside the model's weights; this is the only place that reads such a file."""
    name = lora.path.stem
    try:
        tensors, metadata = load_file(lora.path), read_header(lora.path).metadata
    except (OSError, SafetensorError, ModelError) as error:
        raise _refused(f"{name} cannot be read ({_first(error)}): copy it again") from error
    parts = {"unet": model.unet} | {row.encoder: own for row, _, own in model.text_encoders()}
    try:
        found = lora_layers(tensors, metadata, parts)
    except LoraFileError as error:
        raise _unusable(model, name, error) from error
    verbosity = diffusers_logging.get_verbosity()
    diffusers_logging.set_verbosity_error()  # it tells of every part that has no LoRA
    try:
        for part, layers in found.items():
            options: dict[str, Any] = {
                "metadata": {f"{part}.{k}": v for k, v in layers.config().items()},
                "network_alphas": None,
                "adapter_name": _name(lora.sha),
                "_pipeline": pipe,
                "low_cpu_mem_usage": True,  # as `load_lora_weights` does
            }
            state = layers.state_dict(f"{part}.")
            if part == "unet":
                pipe.load_lora_into_unet(state, unet=model.unet, **options)
            else:
                pipe.load_lora_into_text_encoder(
                    state, text_encoder=parts[part], prefix=part, **options
                )
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        log.info("LoRA %s was refused", name, exc_info=error)
        raise _refused(f"{name} cannot be used ({_first(error)}). Choose another LoRA") from error
    finally:
        diffusers_logging.set_verbosity(verbosity)


def _own_weights(model: LoadedModel) -> list[tuple[torch.nn.Parameter, bool]]:
    """Asked before peft has put anything in."""
    parts = (model.unet, *_encoders(model))
    return [(weight, weight.requires_grad) for part in parts for weight in part.parameters()]


def _encoders(model: LoadedModel) -> list[Any]:
    return [encoder for _, _, encoder in model.text_encoders()]


def _name(sha: str) -> str:
    """Name a LoRA for peft, in whose names a dot would be a submodule."""
    return f"lora_{sha[:24]}"


def _unusable(model: LoadedModel, name: str, error: LoraFileError) -> SettingsError:
    if not isinstance(error, LoraMisfitError):
        return _refused(f"{name} {error}. Choose another LoRA")
    return _refused(
        f"{name} {error}: it does not fit {model.info.name}, and was made for another family of "
        "models. Choose a model of that family, or another LoRA"
    )


def _refused(reason: str) -> SettingsError:
    return SettingsError([Problem(field="loras", reason=reason)])


def _first(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
