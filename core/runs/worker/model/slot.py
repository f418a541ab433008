"""ModelSlot: the one model in memory, and the engine that runs it."""

from __future__ import annotations

import gc
import logging
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from core.diffusion.models.load import ModelError
from core.runs.worker.model.source import EngineLike, ModelSource, describe_safely, first_line

if TYPE_CHECKING:
    from core.diffusion.models.load import LoadedModel, ModelInfo

log = logging.getLogger(__name__)


class ModelSlot:
    """Loads on demand, after letting go of what was there. Not for use by several threads."""

    def __init__(self, models: ModelSource) -> None:
        self._models = models
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
            self._engine = self._models.make_engine(self.model)
        return self._engine

    def load(self, source: str) -> str:
        """Make `source` the model in memory. Returns why that failed, "" if it did not.

        What cannot even be described (a wrong name, most often) leaves the old model in place.
        """
        with suppress(ModelError):
            describe_safely(self._models, source)
            self.unload()
        began = time.monotonic()
        try:
            model = self._models.load(source)
            engine = self._models.make_engine(model)
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
            return describe_safely(self._models, source).fingerprint
        except ModelError:
            if self.model is not None and self.model.info.source == source:
                return self.model.info.fingerprint
            return f"not here: {source}"

    def holds(self, fingerprint: str) -> bool:
        return self.model is not None and self.model.info.fingerprint == fingerprint
