"""ModelSource: where the worker's models come from, and the engine that runs one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import PIL.Image

from core.diffusion.models.download import Report
from core.diffusion.models.load import (
    ModelError,
    describe,
    ensure_here,
    is_on_its_hub,
    load_model,
)
from core.diffusion.recipe.images import ReadInput
from core.diffusion.recipe.limits import MAX_ROWS
from core.diffusion.settings import GenerationSettings

if TYPE_CHECKING:
    from core.diffusion.events import Event, Prediction, Request
    from core.diffusion.models.load import LoadedModel, ModelInfo

log = logging.getLogger(__name__)


class EngineLike(Protocol):
    """What is needed of `core.diffusion.engine.Engine`."""

    @property
    def rows_of_step(self) -> int: ...

    def admit(self, request: Request) -> None: ...
    def has_room(self, settings: GenerationSettings, *, beyond: int = 0) -> bool: ...
    def prediction(self, key: str) -> Prediction | None: ...
    def decode(self, latents: Any, overlay: Any = None, vae: Any = None) -> PIL.Image.Image: ...
    def drop(self, key: str) -> None: ...
    def step(self, preview: Callable[[str], bool] | None = None) -> list[Event]: ...


class ModelSource(Protocol):
    """Whatever has these can stand for the models of this machine."""

    @property
    def max_rows(self) -> int:
        """UNet rows of a batch, at most."""
        ...

    def describe(self, source: str) -> ModelInfo:
        """Raises ModelError."""
        ...

    def is_elsewhere(self, source: str) -> bool:
        """Whether something of the model is not here, and `fetch` could bring it."""
        ...

    def fetch(self, source: str, report: Report) -> object:
        """Download what is missing. Raises ModelError."""
        ...

    def load(self, source: str) -> LoadedModel:
        """Raises ModelError."""
        ...

    def make_engine(self, model: LoadedModel) -> EngineLike: ...

    def score(self, image: PIL.Image.Image, prompt: str, folder: Path) -> float | None:
        """The CLIP score of a picture of the model in `folder`; None where there is none."""
        ...


class LocalModels:
    """The models of this machine and of the hub, each run by an Engine. Imports torch late."""

    def __init__(self, read_input: ReadInput | None = None, *, max_rows: int = MAX_ROWS) -> None:
        self.max_rows = max_rows
        self._read_input = read_input

    def describe(self, source: str) -> ModelInfo:
        return describe(source)

    def is_elsewhere(self, source: str) -> bool:
        return is_on_its_hub(source)

    def fetch(self, source: str, report: Report) -> object:
        return ensure_here(source, report)

    def load(self, source: str) -> LoadedModel:
        return load_model(source)

    def make_engine(self, model: LoadedModel) -> EngineLike:
        from core.diffusion.engine import Engine

        return Engine(model, max_rows=self.max_rows, inputs=self._read_input)

    def score(self, image: PIL.Image.Image, prompt: str, folder: Path) -> float | None:
        from core.output.numbers.metrics import clip_score

        return clip_score(image, prompt, folder)


def describe_safely(models: ModelSource, source: str) -> ModelInfo:
    """`describe` that raises ModelError whatever is wrong: a model's files may say anything."""
    try:
        return models.describe(source)
    except ModelError:
        raise
    except Exception as error:
        log.exception("%s could not be described", source)
        raise ModelError(f"{source} could not be read: {first_line(error)}") from error


def is_elsewhere_safely(models: ModelSource, source: str) -> bool:
    """`is_elsewhere` that says no where it cannot tell: loading says what is wrong."""
    try:
        return models.is_elsewhere(source)
    except ModelError:
        raise
    except Exception:
        log.exception("Whether %s is to be downloaded could not be told", source)
        return False


def first_line(error: Exception) -> str:
    """An error for one line of text: its first, without the trace that libraries add."""
    return (str(error).strip().splitlines() or [""])[0][:300] or type(error).__name__
