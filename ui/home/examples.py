"""EXAMPLES: the pictures of the doors of the home page, by the bundled model.

`python -m training.results.home` makes them again, as after a new training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from core.diffusion.settings import GenerationSettings

FOLDER = Path(__file__).parents[1] / "assets" / "examples"
APPLE = GenerationSettings(
    prompt="a red apple on a blue background, flat style",
    seed=1,
    num_inference_steps=20,
    guidance_scale=5.0,
    scheduler="DPM++ 2M",
)


@dataclass(frozen=True, kw_only=True)
class Example:
    """A picture that comes with the app: its file, what made it, and what is said of it."""

    name: str
    settings: GenerationSettings
    caption: str

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.png"


def _made(name: str, prompt: str) -> Example:
    return Example(name=name, settings=replace(APPLE, prompt=prompt), caption=name.capitalize())


MAKE = (
    _made("apple", APPLE.prompt),
    _made("owl", "a detailed owl on purple"),
    _made("rocket", "a glossy emoji of a rocket on a black background"),
)
COMPARE = tuple(
    Example(
        name=f"guidance-{scale}",
        settings=replace(APPLE, guidance_scale=float(scale)),
        caption=f"{scale}",
    )
    for scale in (1, 3, 7, 15)
)
LEARN = tuple(
    Example(name=f"call-{call}", settings=replace(APPLE, snapshot=call), caption=f"{call}")
    for call in (1, 3, 6, 20)
)
EXAMPLES: Mapping[str, Example] = {one.name: one for one in (*MAKE, *COMPARE, *LEARN)}
