"""VAE files and folders: which are here, and which one settings ask for. Imports no torch.

A VAE lies in a model root (LIGHTBOX_MODELS), or in a folder "vae" or "vaes" of one: a .safetensors
file, or a folder with the config.json of diffusers' AutoencoderKL or AutoencoderTiny. It is called
by its name; a file's ending may be left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from core.diffusion.models.errors import ModelError
from core.diffusion.models.files.hashes import file_sha256
from core.diffusion.models.files.single_file import UNET
from core.diffusion.models.files.sizes import refuse_impossible_sizes
from core.diffusion.models.files.walked import Walked, entries, leads_within
from core.diffusion.models.files.weights import (
    first_line,
    read_header,
    read_json,
    refuse_scaled,
    weights_of,
)
from core.diffusion.models.info import ModelInfo
from core.diffusion.models.origins import ENDING, model_roots
from core.diffusion.models.vae.layout import (
    CLASSES,
    Layout,
    layout_of_config,
    layout_of_tensors,
)
from core.diffusion.settings import GenerationSettings, Problem, SettingsError

FOLDERS = ("vae", "vaes")
STEM = "diffusion_pytorch_model"
HASH_DIGITS = 10
"""Of a file's SHA-256 (hex), as AUTOMATIC1111 shows it."""


class VaeError(ValueError):
    """A VAE that cannot be used; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class VaeFile:
    """A VAE in place of the model's own: its file or folder and what it is.

    `sha` is the SHA-256 (hex) of the file; of a folder, that of its weights and configuration.
    `weights` are the files that are read; `variant` is diffusers' word for them.
    """

    name: str
    path: Path
    sha: str
    layout: Layout
    weights: tuple[Path, ...]
    variant: str = ""

    @property
    def is_folder(self) -> bool:
        return self.path.suffix != ENDING

    @property
    def short(self) -> str:
        return file_sha256(self.weights[0])[:HASH_DIGITS]


def list_vaes() -> list[str]:
    """The names of the VAEs in the model roots that can be read, in alphabetical order."""
    return sorted(name for name, paths in vae_paths().items() if any(map(_is_vae, paths)))


def find_vae(name: str) -> VaeFile:
    """The VAE of a name. Raises VaeError where there is none, or more than one."""
    known = vae_paths()
    paths = known.get(name) or known.get(f"{name}{ENDING}") or ()
    if not paths:
        raise VaeError(_unknown(name))
    found: dict[str, VaeFile] = {}
    reason = ""
    for path in paths:
        try:
            one = describe_vae(path)
            found.setdefault(one.sha, one)
        except (ModelError, VaeError) as error:
            reason = reason or str(error).rstrip(".")
    if not found:
        raise VaeError(reason)
    if len(found) > 1:
        places = " and ".join(sorted(_place(one.path) for one in found.values()))
        raise VaeError(f"{name} stands for {len(found)} VAEs, {places}: rename all but one")
    return next(iter(found.values()))


def wanted_vae(settings: GenerationSettings) -> VaeFile | None:
    """The VAE that the settings ask for, None for the model's own. Raises SettingsError."""
    if not settings.vae:
        return None
    try:
        return find_vae(settings.vae)
    except VaeError as error:
        raise refused(str(error)) from None
    except OSError as error:
        raise refused(f"{settings.vae} cannot be read ({first_line(error)})") from None


def misfit(vae: VaeFile, info: ModelInfo) -> str:
    """Why a VAE does not go with a model, "" where it does: the latents of both must be alike."""
    own, layout = info.latent_format, vae.layout

    def differs(what: str, ours: object, theirs: object) -> str:
        return (
            f"{vae.name} has {what.format(ours)}, and {info.name} {what.format(theirs)}: "
            "choose a VAE of that model's family"
        )

    if layout.channels != own.channels:
        return differs("{} latent channels", layout.channels, own.channels)
    if layout.factor != info.vae_scale_factor:
        return differs("{0} x {0} pixels a latent", layout.factor, info.vae_scale_factor)
    if layout.class_name == "AutoencoderTiny":
        return ""
    if layout.scaling is not None and layout.scaling != own.scaling_factor:
        return differs("a scaling factor of {}", layout.scaling, own.scaling_factor)
    if layout.shift is not None and layout.shift != own.shift_factor:
        return differs("a shift of {}", layout.shift, own.shift_factor)
    if vae.is_folder:
        return ""
    model = layout_of_config(
        {"_class_name": "AutoencoderKL"} | read_json(info.folder / "vae" / "config.json")
    )
    inner = (layout.blocks, layout.depth, layout.has_attention)
    if model is not None and inner != (model.blocks, model.depth, model.has_attention):
        return (
            f"{vae.name} has other layers than the VAE of {info.name}, by whose configuration a "
            "single file is read: give it as a folder with a config.json of its own"
        )
    return ""


def refused(reason: str) -> SettingsError:
    """The error that names the setting."""
    return SettingsError([Problem(field="vae", reason=reason)])


def describe_vae(path: Path) -> VaeFile:
    """Read what a file or folder is. Raises ModelError or VaeError for what is no VAE."""
    try:
        return _described_folder(path) if path.is_dir() else _described_file(path)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        if isinstance(error, VaeError):
            raise
        raise VaeError(
            f"{path.name}: its config.json holds a value that no VAE has ({first_line(error)})"
        ) from error


def _described_file(path: Path) -> VaeFile:
    header = read_header(path)
    if any(name.startswith(UNET) for name in header.shapes):
        raise VaeError(f"{path.name} is a whole model, not a VAE alone: choose it as the model")
    layout = layout_of_tensors(header.shapes)
    if layout is None:
        raise VaeError(
            f"{path.name} is no VAE: it holds no encoder and decoder of AutoencoderKL or "
            "AutoencoderTiny"
        )
    refuse_scaled(path.name, header)
    return VaeFile(name=path.name, path=path, sha=file_sha256(path), layout=layout, weights=(path,))


def _described_folder(path: Path) -> VaeFile:
    for file in sorted(path.iterdir()):
        if not leads_within(file, path):
            raise VaeError(f"{path.name}/{file.name} is a link that leads out, and is not followed")
        if file.suffix == ".py":
            raise VaeError(f"{path.name} holds Python code ({file.name}), which is never loaded")
    config = read_json(path / "config.json")
    if "auto_map" in config:
        raise VaeError(f"{path.name} asks for code of its own (auto_map), which is never run")
    refuse_impossible_sizes(path.parent, (path.name,), path.name)
    layout = layout_of_config(config)
    if layout is None:
        raise VaeError(
            f"{path.name} is a folder of {config.get('_class_name', 'another kind')}, not of "
            f"{' or '.join(CLASSES)}"
        )
    if config.get("latents_mean"):
        raise VaeError(
            f"{path.name} has latents with a mean of their own, which this version does not run"
        )
    weights = weights_of(path.parent, path.name, path.parent.name, STEM)
    told = {key: value for key, value in config.items() if not key.startswith("_")}
    whole = hashlib.sha256(json.dumps([layout.class_name, told], sort_keys=True).encode())
    for file in weights.files:
        whole.update(bytes.fromhex(file_sha256(file)))
    return VaeFile(
        name=path.name,
        path=path,
        sha=whole.hexdigest(),
        layout=layout,
        weights=weights.files,
        variant=weights.variant,
    )


def _is_vae(path: Path) -> bool:
    """Whether it is listed, by its header or configuration alone: hashing gigabytes takes long."""
    try:
        if path.is_dir():
            return layout_of_config(read_json(path / "config.json")) is not None
        shapes = read_header(path).shapes
        is_whole = any(name.startswith(UNET) for name in shapes)
        return not is_whole and layout_of_tensors(shapes) is not None
    except (ModelError, TypeError, ValueError, KeyError, AttributeError):
        return False


def _walked() -> Mapping[str, tuple[Path, ...]]:
    found: dict[str, tuple[Path, ...]] = {}
    for root in model_roots():
        for path in entries(root, FOLDERS):
            is_file = path.suffix == ENDING and path.is_file()
            if is_file or (path / "config.json").is_file():
                found[path.name] = (*found.get(path.name, ()), path)
    return found


vae_paths = Walked(lambda: _walked())


def _place(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _unknown(name: str) -> str:
    known = list_vaes()
    if not known:
        return (
            f"{name} is not here: put its .safetensors file, or its folder with a config.json, "
            "into a folder of LIGHTBOX_MODELS"
        )
    near = get_close_matches(name, known, n=1, cutoff=0.0)[0]
    return f"{name} is not here; did you mean {near}?"
