"""Films: frames to MP4, GIF, WebP, or a ZIP of PNG files.

Frames are taken one at a time and encoded as they come: memory does not grow with their number.
The caller stops a film by ending its frames early; what has come is a whole film. Who leaves
`film_pieces` before its end leaves no file.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

FilmFormat = Literal["mp4", "gif", "webp"]

# H.264 decoders read BT.709 from the tags; without them players guess by the picture's size, and
# the colours of small films come out wrong.
_BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")


@dataclass(frozen=True, kw_only=True)
class _Encoder:
    """FFmpeg's codec and pixel format, and what else it is told."""

    codec: str
    pixels: str
    parameters: tuple[str, ...]


_ENCODERS: Mapping[FilmFormat, _Encoder] = {
    "mp4": _Encoder(
        codec="libx264",
        pixels="yuv420p",
        parameters=(
            *("-vf", "scale=out_color_matrix=bt709:out_range=tv"),
            *("-crf", "16", "-preset", "medium", "-movflags", "+faststart", *_BT709),
            # x264 holds as many frames as it looks ahead, and more for every thread: of a large
            # grid's, 40 and one a core take more than a gigabyte.
            *("-x264-params", "rc-lookahead=10:threads=4"),
        ),
    ),
    "gif": _Encoder(
        codec="gif",
        pixels="pal8",
        parameters=(
            # A palette for each frame: one for the whole film would need every frame at once.
            "-filter_complex",
            "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1:dither=bayer:bayer_scale=4",
            *("-loop", "0"),
        ),
    ),
    "webp": _Encoder(
        codec="libwebp_anim", pixels="bgra", parameters=("-quality", "90", "-loop", "0")
    ),
}


class FilmError(ValueError):
    """A film that cannot be made; the message says why."""


def playback(count: int, *, held: int = 0, there_and_back: bool = False) -> list[int]:
    """The numbers of the frames in the order in which a film of `count` frames shows them.

    The last one is shown `held` times more; `there_and_back` then runs to the second one, so
    that a loop has no frame twice.
    """
    back = range(count - 2, 0, -1) if there_and_back else ()
    return [*range(count), *[count - 1] * (held if count else 0), *back]


def write_film(
    frames: Iterable[np.ndarray],
    path: Path,
    format: FilmFormat,
    fps: float,
    hold: float = 1.0,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Encodes uint8 (H, W, 3) frames of one size; the last one stays for `hold` seconds more.

    As `film_pieces`, whose errors it raises. `progress` is told the number of frames done.
    """
    for done in film_pieces(frames, path, format, fps, hold):
        if progress is not None:
            progress(done)


def film_pieces(
    frames: Iterable[np.ndarray],
    path: Path,
    format: FilmFormat,
    fps: float,
    hold: float = 0.0,
) -> Iterator[int]:
    """Encodes uint8 (H, W, 3) frames of one size, and yields the number done after each.

    Odd sides get one more line of pixels (H.264 needs even ones). The file appears under its
    name only when it is whole. Raises FilmError, and passes on what the frames raise.
    """
    import imageio.v2 as imageio

    check_speed(format, fps)
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise FilmError("There are no frames.")
    _even(first)
    beside = path.with_name(path.name + ".part")  # a folder: films are looked for among files
    encoder = _ENCODERS[format]
    repeats = round(hold * fps)
    held: tuple[str, ...] = ()
    if format == "gif" and repeats:
        held, repeats = ("-final_delay", str(round(100 * (hold + 1 / fps)))), 0
    try:
        beside.mkdir(exist_ok=True)
        # Its FFmpeg plugin wants a film's suffix, whatever "-f" says; asked by the right one it
        # takes Pillow for GIF and WebP, which holds every frame.
        part = beside / "film.mp4"
        writer: Any = imageio.get_writer(
            part,
            format="FFMPEG",
            mode="I",
            fps=fps,
            codec=encoder.codec,
            pixelformat=encoder.pixels,
            macro_block_size=None,  # `_even` pads: imageio would stretch
            ffmpeg_log_level="error",
            output_params=[*encoder.parameters, *held, "-f", format],
        )
        with contextlib.closing(writer):  # its own exit leaves FFmpeg running after an error
            last = first
            for done, last in enumerate(chain([first], frames), start=1):
                if last.shape != first.shape:
                    raise FilmError("The frames differ in size.")
                writer.append_data(_even(last))
                yield done
            for _ in range(repeats):
                writer.append_data(_even(last))
        part.replace(path)
    except OSError as error:
        raise FilmError(f"The film could not be written: {_last_line(error)}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def zip_pieces(frames: Iterable[np.ndarray], path: Path) -> Iterator[int]:
    """Write each frame as frame-0001.png, ..., and yield the number done after each.

    Otherwise as `film_pieces`; the frames keep their odd sides.
    """
    part = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(part, "w") as archive:
            for done, frame in enumerate(frames, start=1):
                buffer = io.BytesIO()
                Image.fromarray(frame).save(buffer, "PNG", compress_level=4)
                archive.writestr(f"frame-{done:04}.png", buffer.getvalue())
                yield done
        part.replace(path)
    except OSError as error:
        raise FilmError(f"The frames could not be written: {_last_line(error)}") from error
    finally:
        part.unlink(missing_ok=True)


def check_speed(format: FilmFormat, fps: float) -> None:
    """Raises FilmError for frames a second that players do not keep."""
    fastest = 50 if format == "gif" else 60  # browsers slow a GIF's shorter delays down
    if not 0 < fps <= fastest:
        raise FilmError(f"{fps:g} frames per second: use up to {fastest}.")


def _even(frame: np.ndarray) -> np.ndarray:
    """H.264 with half the colours a side needs even sides: the last line is repeated."""
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise FilmError(f"A frame is {frame.dtype} {frame.shape}, not uint8 (H, W, 3).")
    rows, columns = frame.shape[0] % 2, frame.shape[1] % 2
    padded = np.pad(frame, ((0, rows), (0, columns), (0, 0)), mode="edge")
    return np.ascontiguousarray(padded)


def _last_line(error: OSError) -> str:
    """Return the last line of what the encoder said; the whole log is no message for a person."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
