"""The settings inside a picture file: written into every PNG, read back from any tool's picture.

A PNG carries two texts: "parameters", as AUTOMATIC1111 writes it, for other programs; and
"lightbox", JSON that rebuilds the settings exactly and says how the picture was computed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from PIL import ExifTags, Image, PngImagePlugin

from core.diffusion.models.load import ModelError, describe
from core.diffusion.models.loras import missing_loras
from core.diffusion.recipe.images import PictureError, open_header
from core.diffusion.settings import NUMERICS_VERSION, GenerationSettings, Problem, SettingsError
from core.output.texts.a1111 import VERSION, Parsed, a1111_text, parse_a1111
from core.output.texts.other_tools import parse_other

if TYPE_CHECKING:
    from core.diffusion.events import Computed
    from core.diffusion.models.load import ModelInfo

__all__ = [
    "VERSION",
    "InfotextError",
    "ReadBack",
    "a1111_text",
    "read_png",
    "write_png",
]

CHUNK_VERSION = 1


class InfotextError(ValueError):
    """A file that cannot be read as a picture; the message is for the person who dropped it."""


@dataclass(frozen=True, kw_only=True)
class ReadBack:
    """What a picture says of how it was made.

    `settings` is None when it says nothing. `fields` names those that the picture gave: the
    others have their defaults. `source` is "lightbox", "a1111", another tool's name, or "".
    """

    settings: GenerationSettings | None
    notes: tuple[str, ...] = ()
    source: str = ""
    fields: tuple[str, ...] = ()


def write_png(
    image: Image.Image,
    settings: GenerationSettings,
    model: ModelInfo,
    computed: Computed | Mapping[str, Any],
) -> bytes:
    """The picture as PNG bytes with both texts; equal arguments give equal bytes."""
    how = asdict(computed) if is_dataclass(computed) else dict(computed)
    chunk = {
        "version": CHUNK_VERSION,
        "settings": settings.to_dict(),
        "model": {"name": model.name, "fingerprint": model.fingerprint},
        "computed": how,
        "numerics_version": NUMERICS_VERSION,
        "software": VERSION,
    }
    parameters = a1111_text(settings, model.name, model.fingerprint[:10])
    texts = PngImagePlugin.PngInfo()
    # Pillow writes tEXt where Latin-1 holds the text and iTXt elsewhere, as the web UI does.
    # A lone surrogate has no UTF-8 form; the JSON below keeps it, escaped.
    texts.add_text("parameters", parameters.encode("utf-8", "replace").decode("utf-8"))
    texts.add_text("lightbox", json.dumps(chunk, allow_nan=False))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", pnginfo=texts)
    return buffer.getvalue()


def read_png(data: bytes) -> ReadBack:
    """The settings in a PNG, JPEG or WebP file, whichever tool wrote them.

    Values that cannot be run here are left at their defaults, and a note says so. Raises
    InfotextError for a file that is no such picture, damaged, or above 20 MB or 40 megapixels;
    both limits are checked before anything is decoded.
    """
    texts = _texts(data)
    for read in (_read_own, _read_a1111, parse_other):
        if (parsed := read(texts)) is not None:
            return _settings(parsed)
    return ReadBack(
        settings=None,
        notes=("The picture carries no settings: a web site or an editor may have removed them.",),
    )


def _settings(parsed: Parsed) -> ReadBack:
    """Settings from what was read; a value that cannot be run is dropped and said."""
    values, notes = dict(parsed.values), list(parsed.notes)
    try:
        settings = GenerationSettings.from_dict(values)
    except SettingsError as error:
        for problem in error.problems:
            values.pop(problem.field, None)
            notes.append(f"{problem}: left out.")
        settings = GenerationSettings.from_dict(values)
    default = GenerationSettings()
    problems = settings.validate()
    if not problems and (missing := missing_loras(settings.loras)):
        problems.append(Problem(field="loras", reason=missing))
    for problem in problems:
        if problem.severity == "error":
            values.pop(problem.field, None)
            notes.append(f"{problem}: left as it was.")
            settings = replace(settings, **{problem.field: getattr(default, problem.field)})
    return ReadBack(
        settings=settings, notes=tuple(notes), source=parsed.source, fields=tuple(values)
    )


def _read_own(texts: Mapping[str, str]) -> Parsed | None:
    if "lightbox" not in texts:
        return None
    try:
        chunk: Any = json.loads(texts["lightbox"])
        values = dict(chunk["settings"])
        version = chunk["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # a damaged chunk: the "parameters" text beside it still says most
    notes: tuple[str, ...] = ()
    if version != CHUNK_VERSION:
        notes = ("A newer Diffusion Lightbox wrote this picture: some settings may be missing.",)
    return Parsed(values=values, notes=notes + _model_note(chunk), source="lightbox")


def _model_note(chunk: Mapping[str, Any]) -> tuple[str, ...]:
    """Says so when the model that made the picture is not here, or is no longer the same."""
    made_by: Any = chunk.get("model")
    if not isinstance(made_by, Mapping):
        return ()
    source = str(chunk["settings"].get("model", GenerationSettings().model))
    try:
        is_same = describe(source).fingerprint == made_by.get("fingerprint")
    except ModelError:
        name = made_by.get("name") or source
        return (f"The model {name!r} is not here: other weights give another picture.",)
    if is_same:
        return ()
    return ("The model's weights have changed since: the picture will come out differently.",)


def _read_a1111(texts: Mapping[str, str]) -> Parsed | None:
    text = texts.get("parameters", "")
    return None if text.lstrip().startswith("{") else parse_a1111(text)


def _texts(data: bytes) -> dict[str, str]:
    """Every text in the file, by keyword; "parameters" for the Exif comment of JPEG and WebP."""
    try:
        image = open_header(data)
    except PictureError as error:
        raise InfotextError(str(error)) from None
    with image:
        try:
            texts = _strings(image.info)
            if isinstance(image, PngImagePlugin.PngImageFile):
                if not texts:  # other tools may put their texts behind the pixels
                    texts = _strings(image.text)
            elif comment := _user_comment(image):
                texts["parameters"] = comment
        except (OSError, ValueError, SyntaxError, EOFError):
            raise InfotextError("The picture is damaged: it ends early or is corrupt.") from None
    return texts


def _strings(info: Mapping[Any, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in info.items() if isinstance(value, str)}


def _user_comment(image: Image.Image) -> str:
    """Exif's UserComment; its UTF-16 stands in either byte order, so the likelier one is taken."""
    raw = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    if isinstance(raw, str):
        return raw
    if not isinstance(raw, bytes) or len(raw) <= 8:
        return ""
    charset, body = raw[:8], raw[8:]
    if not charset.startswith(b"UNICODE"):
        return body.decode("utf-8", "replace").strip("\x00")
    readings = [body.decode(order, "replace") for order in ("utf-16-be", "utf-16-le")]
    return max(readings, key=lambda text: sum(" " <= char <= "~" for char in text)).strip("\x00")
