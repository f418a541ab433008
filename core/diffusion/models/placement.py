"""Where a model's parts are and in what precision: device, dtype, and what waits in main memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from diffusers.hooks.group_offloading import apply_group_offloading

from core.diffusion.models.errors import ModelError
from core.diffusion.models.files.weights import first_line
from core.diffusion.models.info import ModelInfo
from core.diffusion.models.loaded import LoadedModel

OffloadMode = Literal["none", "model", "group"]

MAIN_MEMORY = torch.device("cpu")


def choose_device(wanted: str | None = None) -> torch.device:
    """`wanted`, else LIGHTBOX_DEVICE, else CUDA where there is one, else the CPU.

    Raises ModelError for a device that cannot be used.
    """
    name = wanted or os.environ.get("LIGHTBOX_DEVICE", "").strip()
    if not name:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    # PyTorch says so in three ways: a name it does not know, a build without CUDA ("Torch not
    # compiled with CUDA enabled" is an assertion), a device that cannot hold a tensor ("meta").
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(
            f"The device {name!r} cannot be used ({first_line(error)}). LIGHTBOX_DEVICE takes "
            "cuda, mps or cpu; without it the best one is found."
        ) from error
    return device


def choose_dtype(device: torch.device) -> torch.dtype:
    """LIGHTBOX_DTYPE, else float16 on CUDA and float32 elsewhere. Raises ModelError."""
    kinds = {name: getattr(torch, name) for name in ("float16", "bfloat16", "float32")}
    name = os.environ.get("LIGHTBOX_DTYPE", "").strip()
    if name and name not in kinds:
        raise ModelError(f"LIGHTBOX_DTYPE is {name!r}: it takes one of {', '.join(kinds)}.")
    return kinds[name or ("float16" if device.type == "cuda" else "float32")]


def offload_mode(device: torch.device) -> OffloadMode:
    """LIGHTBOX_OFFLOAD; always "none" on a CPU, where everything is in main memory.

    Raises ModelError for a mode that there is not.
    """
    name = os.environ.get("LIGHTBOX_OFFLOAD", "").strip() or "none"
    for mode in get_args(OffloadMode):
        if name == mode:
            return mode if device.type != "cpu" else "none"
    modes = ", ".join(get_args(OffloadMode))
    raise ModelError(f"LIGHTBOX_OFFLOAD is {name!r}: it takes one of {modes}.")


def vae_dtype(info: ModelInfo, vae: Any, dtype: torch.dtype) -> torch.dtype:
    """SDXL's VAE overflows in float16, unless its configuration says that it was mended: it is
    kept in float32, where diffusers' pipeline takes it for each picture.
    """
    overflows = info.family.base == "SDXL" and vae.config.force_upcast
    return torch.float32 if overflows and dtype == torch.float16 else dtype


def place(
    info: ModelInfo,
    parts: Mapping[str, Any],
    device: torch.device,
    dtype: torch.dtype,
    mode: OffloadMode = "none",
) -> None:
    """Brings the weighed parts, which are in main memory, to `device`, or has them come there
    when they run. Moving weights changes no number. Raises ModelError where they do not fit.

    "none": all at once. "model": one whole part at a time. "group": the VAE stays there, of the
    UNet and the text encoders one layer at a time comes (diffusers' apply_group_offloading), the
    next one while a layer runs where the device can do both.
    """
    weighed = {name: parts[name].eval() for name in info.family.weighed_parts}
    if (wider := vae_dtype(info, weighed["vae"], dtype)) != dtype:
        torch.nn.Module.to(weighed["vae"], wider)  # diffusers' own warns whether or not it matters
    if device.type == "cuda":
        for name in ("unet", "vae"):  # the layout in which its convolutions are fastest
            weighed[name].to(memory_format=torch.channels_last)
    try:
        if mode == "none":
            for part in weighed.values():
                part.to(device)
        elif mode == "model":
            hook = OnePartAtATime(device)
            for part in weighed.values():
                add_hook_to_module(part, hook)
        else:
            weighed.pop("vae").to(device)
            for part in weighed.values():
                _wait_by_layers(part, device)
        return
    except torch.OutOfMemoryError:
        pass  # raised below: in this block the traceback would hold the tensors
    raise ModelError(
        f"{info.name} does not fit into the memory of {device}: close other programs that use "
        "it, choose a smaller model, or start with LIGHTBOX_OFFLOAD=model, or group, which needs "
        "the least."
    )


def place_vae(model: LoadedModel, vae: Any) -> None:
    """Brings another VAE, which is in main memory, to where the model's own is or comes to, in its
    precision and layout. Raises torch.OutOfMemoryError.
    """
    # diffusers' own warns whether or not it matters.
    torch.nn.Module.to(vae, vae_dtype(model.info, vae, model.dtype))
    if model.device.type == "cuda":
        vae.to(memory_format=torch.channels_last)
    hook = getattr(model.vae, "_hf_hook", None)
    if isinstance(hook, OnePartAtATime):
        add_hook_to_module(vae, hook)
    else:
        vae.to(model.device)


class OnePartAtATime(ModelHook):
    """Brings a part to the device when it is called, and sends back the one that was there.

    diffusers' own model offload goes through a pipeline once, from the prompt to the picture; a
    batch that goes on encodes and decodes between its steps. `execution_device` is by its name
    what a diffusers pipeline over the same parts asks for.
    """

    def __init__(self, device: torch.device) -> None:
        self.execution_device = device
        self.here: Any = None

    def pre_forward(self, module: Any, *args: Any, **kwargs: Any) -> Any:
        if self.here is not module:
            if self.here is not None:
                self.here.to(MAIN_MEMORY)
            self.here = None  # should the move below run out of memory
            module.to(self.execution_device)
            self.here = module
        return args, kwargs


def bring(part: Any) -> None:
    """Has a part that waits come now, so that what is measured next is not its move."""
    hook = getattr(part, "_hf_hook", None)
    if isinstance(hook, OnePartAtATime):
        hook.pre_forward(part)


def _wait_by_layers(part: Any, device: torch.device) -> None:
    apply_group_offloading(
        part,
        onload_device=device,
        offload_device=MAIN_MEMORY,
        offload_type="leaf_level",
        use_stream=device.type == "cuda",
    )
