"""What every command shares: words to the person, exit codes, files written whole."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from core.runs.queue.queue import Job, Queue

OK, FAILED, BAD_INPUT, CANCELLED = 0, 1, 2, 130  # 130: what a shell gives a program at Ctrl+C


class UsageError(Exception):
    """Input that cannot be used; the message says which and why."""


def whole(text: str) -> int:
    """Read a whole number for argparse; raise an error in words."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def number(text: str) -> float:
    """Read a number for argparse; raise an error in words."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def truth(text: str) -> bool:
    """Read true or false for argparse; raise an error in words."""
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def folder(text: str) -> Path:
    """Read a folder's name for argparse, whether there is one; raise an error in words."""
    try:
        os.lstat(text)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise argparse.ArgumentTypeError(f"{text[:60]!r} cannot be a folder: {why}") from None
    return Path(text)


READERS: dict[type, Callable[[str], Any]] = {bool: truth, int: whole, float: number, str: str}


def is_file(path: Path) -> bool:
    """Whether there is such a file; False for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def check_writable(target: Path) -> None:
    """Raises UsageError where a file of that name cannot be made."""
    try:
        os.lstat(target.with_name(f".{target.name}.{os.getpid()}.part"))  # as it is written first
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{target.name[:60]!r} cannot be a file here: {why}") from error
    if not target.parent.is_dir():
        raise UsageError(f"{target}: the folder {target.parent} does not exist")
    if target.is_dir():
        raise UsageError(f"{target} is a folder")
    if not os.access(target.parent, os.W_OK):
        raise UsageError(f"{target}: the folder {target.parent} cannot be written")


def write_file(target: Path, data: bytes) -> None:
    """Whole or not at all: a reader never sees half a picture."""
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(data)
        beside.replace(target)
    finally:
        with suppress(OSError):
            beside.unlink()


class ProgressLine:
    """One line on a terminal that is drawn again and again; nothing where there is none."""

    def __init__(self) -> None:
        self._bar = tqdm(total=1, bar_format="{desc} |{bar:20}|", leave=False, disable=None)

    def show(self, job: Job, queue: Queue) -> None:
        if self._bar.disable:
            return
        if job.steps_done == 0:
            status = queue.worker_status()
            text = status.message or f"{status.state} ..."
        else:
            left = f", {job.seconds_left:.0f} s left" if job.seconds_left is not None else ""
            done = f"{job.done_cells} of {job.total_cells} images"
            text = f"{done}, UNet call {job.steps_done} of {job.steps_total}{left}"
        self._bar.total, self._bar.n = max(1, job.steps_total), job.steps_done
        self._bar.set_description_str(text)

    def end(self) -> None:
        self._bar.close()


def say(text: str) -> None:
    """Print to stderr: stdout carries the names of the files alone."""
    print(text, file=sys.stderr)
