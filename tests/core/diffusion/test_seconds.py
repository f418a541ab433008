"""A picture's seconds: its own share of the computing, counted with a clock of the test's."""

from __future__ import annotations

import pytest

from core.diffusion import engine as engine_module
from core.diffusion.engine import Engine, Finished, Request
from core.diffusion.models.load import load_model
from core.diffusion.sampling import pictures as pictures_module
from core.diffusion.sampling.batch import Batch
from core.diffusion.settings import GenerationSettings


class Clock:
    """Stands still but for what `Batch.step` is said to take."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


def test_a_picture_has_its_share_of_each_call_by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, step = Clock(), Batch.step
    for module in (engine_module, pictures_module):
        monkeypatch.setattr(module, "time", clock)

    def slow(batch: Batch) -> None:
        step(batch)
        clock.now += 6.0

    monkeypatch.setattr(Batch, "step", slow)
    base = {"prompt": "a red apple", "width": 64, "height": 64, "scheduler": "DDIM"}
    wanted = {
        "guided": GenerationSettings(**base, num_inference_steps=2, guidance_scale=3.0),
        "plain": GenerationSettings(**base, num_inference_steps=3, guidance_scale=1.0),
    }
    engine = Engine(load_model("bundled"), max_rows=8)
    events = engine.run(Request(key=key, settings=one) for key, one in wanted.items())
    seconds = {
        event.key: event.generation.seconds for event in events if isinstance(event, Finished)
    }
    # Two calls of two rows beside one row, and a third call of the one row alone.
    assert seconds == pytest.approx({"guided": 2 * 4.0, "plain": 2 * 2.0 + 6.0})
    assert sum(seconds.values()) == pytest.approx(clock.now)
