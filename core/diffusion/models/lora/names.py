"""What the tensors of a LoRA file are called, and which of a model's modules they mean.

Every trainer has names of its own. Read are those of diffusers (today's and the old attention
processors'), of PEFT's own save, of kohya's sd-scripts, LyCORIS, OneTrainer and ComfyUI. A name is
matched with the model's modules whatever stands between its words. Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

from core.diffusion.models.files.original_names import original_name

HEADER = "lora_adapter_metadata"
"""Where diffusers writes a LoRA's strengths into the header."""

Role = Literal["down", "up", "mid", "alpha", "magnitude"]
Place = tuple[str, str]
"""A part of the model and a module in it: ("unet", "down_blocks.0....to_q")."""

_ADAPTER = r"(?:\.(?!weight$)\w+)?"  # PEFT writes the adapter's name, before or after "weight"
_WEIGHT = rf"{_ADAPTER}(?:\.weight)?{_ADAPTER}$"
ROLES: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("down", re.compile(rf"^(.+?)[._](?:lora_linear_layer\.down|lora[._]down|lora_A){_WEIGHT}")),
    ("up", re.compile(rf"^(.+?)[._](?:lora_linear_layer\.up|lora[._]up|lora_B){_WEIGHT}")),
    ("mid", re.compile(rf"^(.+?)[._]lora_mid{_WEIGHT}")),
    ("alpha", re.compile(r"^(.+?)\.(?:lora_)?alpha$")),
    ("magnitude", re.compile(rf"^(.+?)[._](?:dora_scale|lora_magnitude_vector){_WEIGHT}")),
)
"""How a tensor's name ends, and so what it is to the module that stands before."""

OTHER_KINDS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\.hada_"), "a LoHa of LyCORIS"),
    (re.compile(r"\.lokr_"), "a LoKr of LyCORIS"),
    (re.compile(r"\.oft_|\.boft_"), "an OFT"),
    (re.compile(r"\.[ab][12]\.weight$"), "a GLoRA of LyCORIS"),
    (re.compile(r"\.on_input$"), "an IA3 of LyCORIS"),
    (
        re.compile(r"\.(?:diff|diff_b|w_norm|b_norm)$"),
        "a LoRA with whole weights beside it (.diff)",
    ),
    (re.compile(r"^bundle_emb\."), "a LoRA with textual inversions bundled in it"),
    (re.compile(r"lora_B.*\.bias$"), "a LoRA with biases"),
)
"""Other kinds of small files, by their tensors' names: they are named, not run."""

_MARKS = re.compile(r"[._]lora[._](?:down|up|linear_layer)|[._]lora_[ABab](?:\.|$)", re.IGNORECASE)

_PREFIXES: tuple[tuple[str, str], ...] = (
    ("base_model.model.unet.", "unet"),
    ("unet.base_model.model.", "unet"),
    ("text_encoder_2.base_model.model.", "text_encoder_2"),
    ("text_encoder.base_model.model.", "text_encoder"),
    ("base_model.model.text_encoder_2.", "text_encoder_2"),
    ("base_model.model.text_encoder.", "text_encoder"),
    ("base_model.model.text_model.", "text_encoder"),
    ("base_model.model.", "unet"),
    ("text_encoders.clip_l.transformer.", "text_encoder"),
    ("text_encoders.clip_g.transformer.", "text_encoder_2"),
    ("text_encoder_2.", "text_encoder_2"),
    ("text_encoder.", "text_encoder"),
    ("unet.", "unet"),
    ("model.diffusion_model.", "unet"),
    ("diffusion_model.", "unet"),
    ("lora_unet_", "unet"),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te_", "text_encoder"),
    ("lycoris_text_encoder_2_", "text_encoder_2"),
    ("lycoris_text_encoder_", "text_encoder"),
    ("lycoris_te2_", "text_encoder_2"),
    ("lycoris_te1_", "text_encoder"),
    ("lycoris_te_", "text_encoder"),
    ("lycoris_unet_", "unet"),
    ("lycoris_", "unet"),
    ("", "unet"),
)
"""How a name begins, and the part that it then means: the first that fits; none is the UNet."""

_OLD_TEXT = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}


def is_lora_name(tensor: str) -> bool:
    """Say whether a tensor of this name makes its file a LoRA, of whichever kind."""
    is_other = any(pattern.search(tensor) for pattern, _ in OTHER_KINDS[:5])
    return is_other or bool(_MARKS.search(f"{tensor}."))


def other_kind(tensors: Iterable[str]) -> str:
    """Name the kind of file that tensors of these names make where it is none that is run."""
    names = list(tensors)
    for pattern, kind in OTHER_KINDS:
        if any(pattern.search(name) for name in names):
            return kind
    return ""


def split_name(tensor: str) -> tuple[str, Role] | None:
    """Split a tensor's name into its module's and what it is to it; None for neither."""
    for role, pattern in ROLES:
        if match := pattern.match(tensor):
            return match[1], role
    return None


class ModuleNames:
    """Finds a model's modules by the names of any trainer."""

    def __init__(self, parts: dict[str, Any]) -> None:
        """`parts` are the UNet and the text encoders, by their names in LoadedModel."""
        self._known: dict[Place, str] = {}
        for part, network in parts.items():
            for module, _ in network.named_modules():
                self._known[part, _flat(module.removeprefix("text_model."))] = module
                if part == "unet" and (original := original_name(module, network.config)):
                    self._known.setdefault((part, _flat(original)), module)

    def find(self, name: str) -> Place | None:
        """Find the module that a file calls `name`; None where the model has none of it."""
        for prefix, part in _PREFIXES:
            if name.startswith(prefix):
                rest = name.removeprefix(prefix)
                found = self._module(part, rest)
                if found is not None:
                    return part, found
                if prefix:
                    return None
        return None

    def _module(self, part: str, name: str) -> str | None:
        name = name.replace(".processor.", ".").removesuffix(".processor")
        name = re.sub(r"^text_model[._]", "", name)
        start, dot, last = name.rpartition(".")
        if part != "unet" and last in _OLD_TEXT:
            name = start + dot + _OLD_TEXT[last]
        flat = _flat(name)
        # The old attention processors call the projection out of a layer by its list alone.
        for spelling in (f"{flat}_0", flat) if last == "to_out" else (flat,):
            if (part, spelling) in self._known:
                return self._known[part, spelling]
        return None


def _flat(name: str) -> str:
    return name.replace(".", "_")
