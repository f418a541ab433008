"""The parts of a model from its files, in main memory. Safetensors only, nothing from the net.

A tensor that a part needs and its file lacks is never made up, and one that a single file holds
for its UNet is never left out: both are refused by part and tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from core.diffusion.models.errors import IncompleteError, ModelError
from core.diffusion.models.files.original_names import original_name
from core.diffusion.models.files.single_file import FIRST_OPEN_CLIP, SD1_TEXT, SD2_TEXT, UNET
from core.diffusion.models.files.tokenizers import read_tokenizer
from core.diffusion.models.files.weights import AGAIN, first_line, read_header, weights_of
from core.diffusion.models.info import ModelInfo

if TYPE_CHECKING:
    import torch

_OLD_ATTENTION = {
    ".query.": ".to_q.",
    ".key.": ".to_k.",
    ".value.": ".to_v.",
    ".proj_attn.": ".to_out.0.",
}
"""What diffusers called the projections of its VAE's attention before 0.15."""


def load_folder(info: ModelInfo, dtype: torch.dtype) -> dict[str, Any]:
    """Load each part of a folder in diffusers layout. Raises ModelError."""
    import transformers
    from diffusers import AutoencoderKL, UNet2DConditionModel

    classes: dict[str, Any] = {"unet": UNet2DConditionModel, "vae": AutoencoderKL}
    parts: dict[str, Any] = {}
    for row in info.family.text_encoders:
        classes[row.encoder] = getattr(transformers, row.class_name)
        parts[row.tokenizer] = _tokenizer(info, row.tokenizer)
    for name, cls in classes.items():
        weights = weights_of(info.folder, name, info.name)
        try:
            if name in ("unet", "vae"):
                held = (key for file in weights.files for key in read_header(file).shapes)
                _refuse_missing(info, name, _empty(cls, info, name).state_dict(), map(_new, held))
            parts[name], found = cls.from_pretrained(
                info.folder / name,
                use_safetensors=True,
                dtype=dtype,
                local_files_only=True,
                output_loading_info=True,
                **({"variant": weights.variant} if weights.variant else {}),
            )
            _refuse_missing(info, name, found["missing_keys"], ())
            if name == "unet":
                _refuse_unused(info, found["unexpected_keys"])
        except ModelError:
            raise
        except Exception as error:
            raise _unloadable(info, name, error) from error
    return parts


def load_file(info: ModelInfo, dtype: torch.dtype) -> dict[str, Any]:
    """Load each part of a single .safetensors checkpoint. Raises ModelError."""
    import transformers
    from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm
    from safetensors.torch import load_file as read_tensors

    assert info.file is not None
    parts: dict[str, Any] = {
        row.tokenizer: _tokenizer(info, row.tokenizer) for row in info.family.text_encoders
    }
    name = "checkpoint"
    try:
        tensors = {_known_name(key): value for key, value in read_tensors(info.file).items()}
        for name in ("unet", "vae"):
            parts[name] = _converted(info, name, tensors, dtype)
        for row in info.family.text_encoders:
            name = row.encoder
            encoder: Any = create_diffusers_clip_model_from_ldm(
                getattr(transformers, row.class_name),
                checkpoint=dict(tensors),
                subfolder=name,
                config=str(info.folder),
                local_files_only=True,
            )
            lacking = [key for key, value in encoder.state_dict().items() if value.is_meta]
            _refuse_missing(info, name, lacking, ())
            parts[name] = encoder.to(dtype)
    except ModelError:
        raise
    except KeyError as error:  # diffusers' conversion asks for a tensor that is not there
        raise _incomplete(info, name, [str(error.args[0])]) from error
    except Exception as error:
        raise _unloadable(info, name, error) from error
    return parts


def _converted(
    info: ModelInfo, name: str, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype
) -> Any:
    """The UNet or the VAE of a single file, by diffusers' own conversion of its names."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from diffusers.loaders import single_file_utils

    ways: dict[str, tuple[Any, Any]] = {
        "unet": (UNet2DConditionModel, single_file_utils.convert_ldm_unet_checkpoint),
        "vae": (AutoencoderKL, single_file_utils.convert_ldm_vae_checkpoint),
    }
    cls, convert = ways[name]
    empty = _empty(cls, info, name)
    wanted = empty.state_dict()
    if name == "unet":
        modules = (key.rpartition(".") for key in wanted)
        known = {
            f"{UNET}{original_name(module, empty.config)}.{leaf}" for module, _, leaf in modules
        }
        _refuse_unused(info, [k for k in tensors if k.startswith(UNET) and k not in known])
        held = {key.removeprefix(UNET) for key in tensors}
        lacking = [key.removeprefix(UNET) for key in known if key.removeprefix(UNET) not in held]
        _refuse_missing(info, name, lacking, ())
    state = convert(checkpoint=dict(tensors), config=dict(empty.config))
    _refuse_missing(info, name, wanted, state)
    return cls.from_single_file(
        state,
        config=str(info.folder),
        subfolder=name,
        local_files_only=True,
        dtype=dtype,
    )


def _empty(cls: Any, info: ModelInfo, name: str) -> Any:
    """The part without weights: what tensors it has."""
    import torch

    with torch.device("meta"):
        return cls.from_config(cls.load_config(info.folder / name, local_files_only=True))


def _known_name(tensor: str) -> str:
    """One name for what single files call by two: NovelAI's text encoder is a level less deep, and
    SD-Turbo's, as published, stands where SDXL's first does.
    """
    if tensor.startswith((f"{SD1_TEXT}embeddings.", f"{SD1_TEXT}encoder.", f"{SD1_TEXT}final_")):
        return tensor.replace(SD1_TEXT, f"{SD1_TEXT}text_model.", 1)
    if tensor.startswith(FIRST_OPEN_CLIP):
        return tensor.replace(FIRST_OPEN_CLIP, SD2_TEXT, 1)
    return tensor


def _new(tensor: str) -> str:
    for old, new in _OLD_ATTENTION.items():
        tensor = tensor.replace(old, new)
    return tensor


def _refuse_missing(info: ModelInfo, part: str, wanted: Iterable[str], held: Iterable[str]) -> None:
    there = set(held)
    if missing := sorted(key for key in wanted if key not in there):
        raise _incomplete(info, part, missing)


def _incomplete(info: ModelInfo, part: str, missing: list[str]) -> IncompleteError:
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return IncompleteError(
        f"{info.name}: its {part} lacks {missing[0]}{more}, and a picture without would be "
        f"chance. {AGAIN}"
    )


def _refuse_unused(info: ModelInfo, unused: Iterable[str]) -> None:
    if names := sorted(unused):
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise ModelError(
            f"{info.name}: its unet holds {names[0]}{more}, which {info.family_name} does not "
            "have. It is another kind of model, which this version does not run."
        )


def _tokenizer(info: ModelInfo, name: str) -> Any:
    try:
        return read_tokenizer(info.folder, name)
    except ModelError:
        raise
    except Exception as error:
        raise _unloadable(info, name, error) from error


def _unloadable(info: ModelInfo, part: str, error: Exception) -> ModelError:
    return ModelError(
        f"{info.name}: its {part} could not be loaded ({first_line(error)}). The files may be "
        "incomplete: copy or download the model again."
    )
