"""ModelSlot: the one model in memory, and the engine that runs it."""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import PIL.Image

from core.diffusion.models.download import Report
from core.diffusion.models.load import ModelError, ensure_here, is_on_its_hub
from core.diffusion.settings import GenerationSettings

if TYPE_CHECKING:
    from core.diffusion.events import Event, Request
    from core.diffusion.models.load import LoadedModel, ModelInfo

log = logging.getLogger(__name__)


class EngineLike(Protocol):
    """What is needed of `core.diffusion.engine.Engine`."""

    @property
    def max_rows(self) -> int: ...
    def admit(self, request: Request) -> None: ...
    def has_room(self, settings: GenerationSettings) -> bool: ...
    def rides_along(self, settings: GenerationSettings) -> bool: ...
    def drop(self, key: str) -> None: ...
    def step(self, preview: Callable[[str], bool] | None = None) -> list[Event]: ...


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What the runner is given to work with; tests give it doubles.

    `score` takes a picture, its prompt and the model's folder; None where there is no score.
    `fetch` downloads a model of which `is_elsewhere` says that something is missing here.
    """

    load: Callable[[str], LoadedModel]
    make_engine: Callable[[LoadedModel], EngineLike]
    describe: Callable[[str], ModelInfo]
    score: Callable[[PIL.Image.Image, str, Path], float | None]
    max_rows: int
    fetch: Callable[[str, Report], object] = ensure_here
    is_elsewhere: Callable[[str], bool] = is_on_its_hub


class ModelSlot:
    """Loads on demand, after letting go of what was there. Not for use by several threads."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._engine: EngineLike | None = None
        self.model: LoadedModel | None = None
        self.load_seconds = 0.0

    @property
    def info(self) -> ModelInfo:
        """Return the ModelInfo of the model in memory. An AssertionError where there is none."""
        assert self.model is not None
        return self.model.info

    @property
    def engine(self) -> EngineLike:
        """Return the engine of the model in memory; a new one after `forget_engine`."""
        assert self.model is not None
        if self._engine is None:
            self._engine = self._tools.make_engine(self.model)
        return self._engine

    def load(self, source: str) -> str:
        """Make `source` the model in memory. Returns why that failed, "" if it did not.

        What cannot even be described (a wrong name, most often) leaves the old model in place.
        """
        with suppress(ModelError):
            self._tools.describe(source)
            self.unload()
        began = time.monotonic()
        try:
            model = self._tools.load(source)
            engine = self._tools.make_engine(model)
        except ModelError as error:
            return str(error)
        except Exception as error:
            log.exception("Loading %s failed", source)
            return f"{source} could not be loaded: {first_line(error)}"
        self.model, self._engine = model, engine
        self.load_seconds = time.monotonic() - began
        return ""

    def unload(self) -> None:
        self._engine = self.model = None
        gc.collect()
        if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def forget_engine(self) -> None:
        """Forget the engine: after an error nobody knows what it still holds."""
        self._engine = None

    def fingerprint(self, source: str) -> str:
        """Two names of one model are one model. A model that is not here yet has its own name."""
        try:
            return self._tools.describe(source).fingerprint
        except ModelError:
            if self.model is not None and self.model.info.source == source:
                return self.model.info.fingerprint
            return f"not here: {source}"

    def holds(self, fingerprint: str) -> bool:
        return self.model is not None and self.model.info.fingerprint == fingerprint


def first_line(error: Exception) -> str:
    """An error for one line of text: its first, without the trace that libraries add."""
    return (str(error).strip().splitlines() or [""])[0][:300] or type(error).__name__
