"""A VAE in foreign texts: by its file's name, and by the first digits of its SHA-256."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import PurePath, PureWindowsPath

from core.diffusion.models.vae.files import HASH_DIGITS, VaeError, find_vae
from core.diffusion.settings import GenerationSettings

NAME, HASH = "VAE", "VAE hash"
NONE = frozenset(("", "none", "automatic", "auto", "default", "default (model)", "baked vae"))
"""What tools write where the model's own is meant."""

ListVaes = Callable[[], list[str]]


def vae_words(settings: GenerationSettings) -> Mapping[str, str]:
    """The VAE as the web UI writes it; the hash is that of the file that is here."""
    if not settings.vae:
        return {}
    words = {NAME: settings.vae}
    with suppress(VaeError, OSError):
        words[HASH] = find_vae(settings.vae).short
    return words


def take_vae(name: str, short: str, known: ListVaes) -> tuple[str, str]:
    """The VAE here that a text names, by its name or its hash; "" for none. And a note, where it is
    not here or is another one.
    """
    name = PureWindowsPath(PurePath(name.strip()).name).name
    short = short.strip().lower()
    if name.lower() in NONE and not short:
        return "", ""
    listed = known()
    stem = name.removesuffix(".safetensors")
    found = next((one for one in (name, f"{name}.safetensors", stem) if one in listed), "")
    is_hash = re.fullmatch(f"[0-9a-f]{{{HASH_DIGITS}}}", short) is not None
    if is_hash and (not found or _short(found) not in ("", short)):
        alike = next((one for one in listed if _short(one) == short), "")
        if found and not alike:
            return found, f"It used another file of the VAE {found[:60]} ({short})."
        found = alike or found
    if found:
        return found, ""
    label = f"{name[:60]} ({short[:10]})" if name and short else name[:60] or short[:10]
    return "", f"It used the VAE {label}, which is not available."


def _short(name: str) -> str:
    """The first digits of a VAE's SHA-256, "" where it cannot be read."""
    try:
        return find_vae(name).short
    except (VaeError, OSError):
        return ""
