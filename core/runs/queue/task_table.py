"""TASKS: every piece of work that makes no stored image, by name. Imports none of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ANATOMY = "core.diffusion.inside.anatomy"
INVERSION = "core.diffusion.inside.inversion"
SETTINGS = "core.diffusion.settings:GenerationSettings"


@dataclass(frozen=True, kw_only=True)
class TaskRow:
    """One kind of task.

    `function` is "module:name" (a test may give the function itself), called in the worker as
    `function(context, settings, **arguments)`: a generator as `core.runs.worker.tasks.work.Work`.
    With `needs_model` it begins on the worker's thread with the settings' model in memory,
    without in the pool. `results` are the dataclasses that its result may hold: nothing else is
    read from a file. `label` is what a person reads while it runs.
    """

    function: str | Callable[..., Any]
    label: str
    needs_model: bool
    results: tuple[str, ...] = ()

    def load(self) -> Callable[..., Any]:
        """Import the function. Raises ImportError and AttributeError."""
        return named(self.function) if isinstance(self.function, str) else self.function


def named(name: str) -> Any:
    """What "module:name" names. Raises ImportError and AttributeError."""
    module, _, inner = name.partition(":")
    return getattr(importlib.import_module(module), inner)


_PROMPT = (f"{ANATOMY}:EmbeddedPrompt", f"{ANATOMY}:Place")
_MODEL_TASKS = "core.runs.worker.tasks.on_model"

TASKS: dict[str, TaskRow] = {
    "run": TaskRow(
        function=f"{_MODEL_TASKS}:run",
        label="Running step by step",
        needs_model=True,
        results=(f"{ANATOMY}:Run", *_PROMPT, SETTINGS),
    ),
    "attention": TaskRow(
        function=f"{_MODEL_TASKS}:attention",
        label="The attention maps",
        needs_model=True,
        results=(f"{ANATOMY}:AttentionMaps", *_PROMPT),
    ),
    "effects": TaskRow(
        function=f"{_MODEL_TASKS}:effects",
        label="The effect of each word",
        needs_model=True,
        results=(f"{ANATOMY}:Effects", f"{ANATOMY}:WordEffect"),
    ),
    "branch": TaskRow(
        function=f"{_MODEL_TASKS}:branch",
        label="The changed run",
        needs_model=True,
        results=(f"{ANATOMY}:Future", f"{ANATOMY}:Change"),
    ),
    "mistake": TaskRow(
        function=f"{_MODEL_TASKS}:mistake",
        label="The mistake",
        needs_model=True,
        results=(f"{ANATOMY}:MadeMistake", SETTINGS),
    ),
    "round trip": TaskRow(
        function=f"{_MODEL_TASKS}:round_trip",
        label="Encoded and decoded by the VAE",
        needs_model=True,
        results=("core.diffusion.inside.round_trip:RoundTrip",),
    ),
    "noised inputs": TaskRow(
        function=f"{_MODEL_TASKS}:noised_inputs",
        label="What each starts from",
        needs_model=True,
        results=(
            "core.diffusion.inside.round_trip:NoisedInput",
            "core.diffusion.recipe.schedule:Start",
        ),
    ),
    "inversion": TaskRow(
        function=f"{_MODEL_TASKS}:inversion",
        label="Inverting the source",
        needs_model=True,
        results=(f"{INVERSION}:Inversion", f"{INVERSION}:InversionError", SETTINGS),
    ),
    "inversion errors": TaskRow(
        function=f"{_MODEL_TASKS}:inversion_errors",
        label="The error over steps",
        needs_model=True,
        results=(f"{INVERSION}:InversionError",),
    ),
    "noise numbers": TaskRow(
        function=f"{_MODEL_TASKS}:noise_numbers",
        label="Computing the noises",
        needs_model=True,
        results=("core.diffusion.inside.noise_numbers:NoiseNumbers",),
    ),
    "likeness": TaskRow(
        function="core.exports.likeness:likeness",
        label="Measuring",
        needs_model=False,
        results=("core.exports.likeness:Likeness",),
    ),
    "likeness to source": TaskRow(
        function="core.exports.likeness:likeness_to_source",
        label="Measuring",
        needs_model=False,
        results=("core.exports.likeness:Likeness",),
    ),
    "measures": TaskRow(
        function="core.exports.measuring:measure_cells",
        label="Measuring",
        needs_model=False,
    ),
    "film": TaskRow(
        function="core.exports.films.film_task:make_film",
        label="Making the film",
        needs_model=False,
    ),
    "inversion film": TaskRow(
        function="core.exports.films.inversion_film:make_inversion_film",
        label="Making the film",
        needs_model=False,
    ),
    "walk film": TaskRow(
        function="core.exports.films.walk:make_walk_film",
        label="Making the film",
        needs_model=False,
    ),
}


def row_of(name: str, table: Mapping[str, TaskRow] = TASKS) -> TaskRow | None:
    """The row of a name; None for one that this version does not know."""
    return table.get(name)
