"""The settings inside a picture file: written into every PNG, read back from any tool's picture.

A PNG carries two texts: "parameters", as AUTOMATIC1111 writes it, for other programs; and
"lightbox", JSON that rebuilds the settings exactly and says how the picture was computed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from PIL import Image, PngImagePlugin

from core.diffusion.models.load import ModelError, describe
from core.diffusion.named_files import file_problems
from core.diffusion.recipe.images import PictureError
from core.diffusion.settings import NUMERICS_VERSION, GenerationSettings, SettingsError
from core.output.texts.a1111.parameters import VERSION, Parsed, a1111_text
from core.output.texts.files.containers import SHOWN, FoundText, find_texts
from core.output.texts.files.found import Texts
from core.output.texts.files.stealth import hidden_texts
from core.output.texts.other_tools import parse_any

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
    `texts` are those that nobody here could read, to be shown: each its place and its beginning.
    """

    settings: GenerationSettings | None
    notes: tuple[str, ...] = ()
    source: str = ""
    fields: tuple[str, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()


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
    try:
        found = find_texts(data)
        parsed = _parse(Texts(found))
        if parsed is None and (hidden := _hidden(data, bool(found))):
            found = (*found, *hidden)
            parsed = _parse(Texts(hidden))
    except PictureError as error:
        raise InfotextError(str(error)) from None
    return _settings(parsed) if parsed else _nothing(found)


def _hidden(data: bytes, has_texts: bool) -> tuple[FoundText, ...]:
    """The texts in a picture's pixels; broken pixels are no error where there is a text to show."""
    try:
        return hidden_texts(data)
    except PictureError:
        if not has_texts:
            raise
        return ()


def _parse(texts: Texts) -> Parsed | None:
    return _read_own(texts) or parse_any(texts)


_ORDINARY = frozenset(
    [
        "Author",
        "Copyright",
        "Creation Time",
        "CreatorTool",
        "Disclaimer",
        "Make",
        "MakerNote",
        "Model",
        "Software",
        "Source",
        "Title",
        "XPTitle",
    ]
)
_PROFILES = ("date:", "exif:", "icc:", "raw profile")
"""Keys of texts that say nothing of how a picture was computed: a camera's, an editor's."""


def _nothing(found: Iterable[FoundText]) -> ReadBack:
    """No settings: that there is a text all the same is said, and it is shown."""
    left = [
        text
        for text in found
        if text.key not in _ORDINARY and not text.key.lower().startswith(_PROFILES)
    ]
    if not left:
        note = "The picture contains no settings: a website or an editor may have removed them."
        return ReadBack(settings=None, notes=(note,))
    places = ", ".join(dict.fromkeys(f"{text.place} {text.key[:40]!r}" for text in left[:8]))
    note = f"The picture contains text, but no settings that can be read here: {places}."
    shown = tuple((f"{text.place}: {text.key[:40]}", text.text[:SHOWN]) for text in left[:8])
    return ReadBack(settings=None, notes=(note,), texts=shown)


_SIZE = ("width", "height")


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
    if not problems:
        problems += file_problems(settings)
    for problem in problems:
        if problem.severity == "error":
            # One side of a size without the other would be another shape.
            names = _SIZE if problem.field in _SIZE else (problem.field,)
            for name in names:
                values.pop(name, None)
            whole = "the size is left unchanged" if names is _SIZE else "left unchanged"
            notes.append(f"{problem}: {whole}.")
            settings = replace(settings, **{name: getattr(default, name) for name in names})
    return ReadBack(
        settings=settings, notes=tuple(notes), source=parsed.source, fields=tuple(values)
    )


def _read_own(texts: Texts) -> Parsed | None:
    if not texts.get("lightbox"):
        return None
    try:
        chunk: Any = json.loads(texts.get("lightbox"))
        values = dict(chunk["settings"])
        version = chunk["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # a damaged chunk: the "parameters" text beside it still says most
    notes: tuple[str, ...] = ()
    if version != CHUNK_VERSION:
        notes = ("A newer Diffusion Lightbox wrote this picture: some settings may be missing.",)
    return Parsed(values=values, notes=notes + _model_note(chunk), source="lightbox")


def _model_note(chunk: Mapping[str, Any]) -> tuple[str, ...]:
    """Say so when the model that made the picture is not here, or is no longer the same."""
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
