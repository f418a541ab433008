"""The tasks that run on the model in memory, as TASKS names them. Imports torch inside functions.

Each takes a TaskContext, settings and its arguments, and is carried on between two steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.diffusion.inside.anatomy import Change
from core.diffusion.settings import GenerationSettings
from core.runs.worker.tasks.work import TaskContext, Work


def run(context: TaskContext, settings: GenerationSettings) -> Work:
    """The run of these settings with every tensor: `core.diffusion.inside.anatomy.Run`."""
    from core.diffusion.inside.unrolled import unroll

    return unroll(context.model, settings)


def attention(context: TaskContext, settings: GenerationSettings) -> Work:
    """Return where each word of the prompt acts: AttentionMaps."""
    from core.diffusion.inside.attention import attend

    return attend(context.model, settings)


def effects(context: TaskContext, settings: GenerationSettings, replacement: str) -> Work:
    """Return what each word of the prompt does: Effects."""
    from core.diffusion.inside import effects as words

    return words.effects(context.model, settings, replacement)


def branch(context: TaskContext, settings: GenerationSettings, change: Mapping[str, Any]) -> Work:
    """What would have come of the run with another `change` (the fields of Change): Future."""
    from core.diffusion.inside import branch as branches

    return branches.branch(context.model, settings, Change(**change))


def mistake(context: TaskContext, settings: GenerationSettings, mistake: str) -> Work:
    """A mistake beside the right picture, by its name in MISTAKES: MadeMistake."""
    from core.diffusion.inside import mistakes

    return mistakes.make_mistake(context.model, settings, mistake)


def round_trip(context: TaskContext, settings: GenerationSettings, source: str) -> Work:
    """The source with this digest through the VAE and back: RoundTrip."""
    from core.diffusion.inside import round_trip as trips

    return trips.round_trip(context.source(source))(context.model)


def noised_inputs(
    context: TaskContext, settings: GenerationSettings, changes: Sequence[Mapping[str, Any]]
) -> Work:
    """What the settings with each of these changes start from: a list of NoisedInput."""
    from core.diffusion.inside import round_trip as trips

    strip = [replace(settings, **change) for change in changes]
    return trips.noised_inputs(strip, context.source)(context.model)


def inversion(context: TaskContext, settings: GenerationSettings, edit: str) -> Work:
    """The source of these settings inverted, and made again: Inversion."""
    from core.diffusion.inside import inversion as inversions

    return inversions.invert(context.model, settings, context.source, edit)


def inversion_errors(
    context: TaskContext, settings: GenerationSettings, steps: Sequence[int]
) -> Work:
    """How near it comes with each of these numbers of steps: a list of InversionError."""
    from core.diffusion.inside import inversion as inversions

    return inversions.inversion_errors(context.model, settings, context.source, steps)


def noise_numbers(context: TaskContext, settings: GenerationSettings) -> Work:
    """Every method's noise beside the source's: a list of NoiseNumbers."""
    from core.diffusion.inside import noise_numbers as numbers

    return numbers.noise_numbers(settings)(context.model)
