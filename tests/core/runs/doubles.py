"""A model and an engine that need no weights: a cell's picture is one colour, from its seed."""

from __future__ import annotations

import dataclasses
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.diffusion.events import (
    Computed,
    Event,
    Failed,
    Finished,
    Generation,
    Prediction,
    Request,
    Started,
    Stepped,
)
from core.diffusion.models.latent_format import SD_LATENTS
from core.diffusion.models.load import ModelError, ModelInfo
from core.diffusion.recipe.images import ReadInput
from core.diffusion.settings import GenerationSettings
from core.diffusion.trajectory import StepRecord, Trajectory
from core.runs.queue.queue import Job, Queue
from core.runs.store.store import Store
from core.runs.worker.in_flight import ROWS_FOR_SMALL_JOBS
from core.runs.worker.model.source import LocalModels
from core.runs.worker.worker import Worker

RECORD = StepRecord(
    step_index=0,
    timestep=941.0,
    sigma=10.5,
    log_snr=-4.7,
    latent_rms=1.0,
    raw_latent_norm=32.0,
    x0_rms=1.5,
    guidance_gap=None,
    guidance_gap_x0=None,
    misalignment=None,
    x0_gap_parallel=None,
    x0_gap_orthogonal=None,
    std_inflation=None,
    settling=None,
    x0_cos_final=0.5,
    saturation=0.0,
    channel_mean=(0.0, 0.0, 0.0, 0.0),
    channel_std=(1.0, 1.0, 1.0, 1.0),
)


def settings(seed: int = 0, **changes: Any) -> GenerationSettings:
    values: dict[str, Any] = {"prompt": "a red apple", "seed": seed, "num_inference_steps": 4}
    return GenerationSettings(**(values | changes))


def info(name: str = "bundled") -> ModelInfo:
    return ModelInfo(
        source=name,
        name=f"Model {name}",
        folder=Path("nowhere"),
        fingerprint=f"fingerprint of {name}",
        default_width=128,
        default_height=128,
        default_guidance_scale=3.0,
        default_num_inference_steps=20,
        default_scheduler="DPM++ 2M",
        example_prompts=(),
        vae_scale_factor=8,
        latent_format=SD_LATENTS,
        scheduler_config={},
    )


def describe(source: str) -> ModelInfo:
    if source.startswith("missing"):
        raise ModelError(f"{source} is no model: give a folder.")
    return info(source)


def colour(one: GenerationSettings) -> tuple[int, int, int]:
    return (one.seed % 256, one.seed // 256 % 256, one.num_inference_steps % 256)


def generation(one: GenerationSettings | None = None, *, record: str = "norms") -> Generation:
    one = one or settings()
    has_tensors = record == "latents"
    trajectory = None
    if record != "none":
        trajectory = Trajectory(
            records=(RECORD,),
            latents=np.zeros((2, 4, 2, 2), np.float32) if has_tensors else None,
            pred_original_sample=np.zeros((1, 4, 2, 2), np.float32) if has_tensors else None,
        )
    return Generation(
        settings=one,
        image=Image.new("RGB", (one.width, one.height), colour(one)),
        seconds=0.5,
        trajectory=trajectory,
        computed=Computed(device="cpu", dtype="float32", rows=2, strict=False, versions={}),
    )


@dataclasses.dataclass(eq=False)
class FakeModel:
    info: ModelInfo
    device: str = "cpu"
    dtype: str = "torch.float32"


class GivenModels(LocalModels):
    """The models of this machine, but for the methods that a test gives."""

    def __init__(self, read_input: ReadInput | None = None, **given: Any) -> None:
        super().__init__(read_input)
        assert all(hasattr(self, name) for name in given), given
        vars(self).update(given)


@dataclasses.dataclass(eq=False)
class Lab:
    """What the fake engines of one test did, and how they are told to behave."""

    gate: threading.Event = dataclasses.field(default_factory=threading.Event)
    loaded: list[str] = dataclasses.field(default_factory=list)
    admitted: list[Request] = dataclasses.field(default_factory=list)
    dropped: list[str] = dataclasses.field(default_factory=list)
    batches: list[tuple[int, ...]] = dataclasses.field(default_factory=list)
    previews: list[tuple[float, str]] = dataclasses.field(default_factory=list)
    before_step: Callable[[FakeEngine], None] = lambda engine: None
    fails: Callable[[GenerationSettings], str] = lambda one: ""
    max_rows: int = 32
    engine_rows: int = 0  # where the engine has found room for fewer
    step_seconds: float = 0.0
    rows_of_cell: int = 2

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def seeds(self) -> list[int]:
        """Of the cells computed, in the order of their admission."""
        return [request.settings.seed for request in self.admitted]

    def load(self, source: str) -> Any:
        self.loaded.append(source)
        return FakeModel(info=describe(source))

    def make_engine(self, model: Any) -> FakeEngine:
        return FakeEngine(self, model)

    def worker(self, store: Store, **options: Any) -> Worker:
        given: dict[str, Any] = {
            "load": self.load,
            "make_engine": self.make_engine,
            "describe": describe,
            "score": lambda image, prompt, folder: 25.0,
            "max_rows": self.max_rows,
            "is_elsewhere": lambda source: False,
        }
        preload = options.pop("preload", None)
        return Worker(store, GivenModels(**(given | options)), preload=preload)

    @contextmanager
    def working(self, store: Store, **options: Any) -> Iterator[Worker]:
        worker = self.worker(store, **options)
        worker.start()
        try:
            yield worker
        finally:
            self.gate.set()
            assert worker.stop(), "the worker did not stop"

    def hold(self) -> None:
        """The engine waits before its next step until `gate` is set."""
        self.gate.clear()


class FakeEngine:
    """Engine's interface; each cell takes `num_inference_steps` steps."""

    def __init__(self, lab: Lab, model: Any) -> None:
        self.lab, self.model = lab, model
        self.cells: dict[str, tuple[Request, int]] = {}
        self.rows_of_step = 0

    @property
    def active(self) -> tuple[str, ...]:
        return tuple(self.cells)

    @property
    def max_rows(self) -> int:
        return self.lab.engine_rows or self.lab.max_rows

    def has_room(self, one: GenerationSettings, *, beyond: int = 0) -> bool:
        running = [request.settings for request, _ in self.cells.values()]
        rows = sum(2 if other.uses_guidance else 1 for other in [*running, one])
        return not running or rows <= self.max_rows + beyond

    def admit(self, request: Request) -> None:
        assert request.key not in self.cells
        assert self.has_room(request.settings, beyond=ROWS_FOR_SMALL_JOBS)
        if not request.is_valid:
            request.settings.require_valid()
        self.lab.admitted.append(request)
        self.cells[request.key] = (request, 0)

    def prediction(self, key: str) -> Prediction | None:
        """The settings stand for their latents."""
        request, step = self.cells[key]
        total = request.settings.num_inference_steps
        return Prediction(latents=request.settings, step=step, total=total) if step else None

    def decode(self, latents: Any, overlay: Any = None, vae: Any = None) -> Image.Image:
        return generation(latents).image

    def drop(self, key: str) -> None:
        del self.cells[key]
        self.lab.dropped.append(key)

    def step(self, preview: Callable[[str], bool] | None = None) -> list[Event]:
        assert self.lab.gate.wait(30)
        self.lab.before_step(self)
        if self.lab.step_seconds:
            time.sleep(self.lab.step_seconds)
        self.lab.batches.append(tuple(r.settings.seed for r, _ in self.cells.values()))
        self.rows_of_step = len(self.cells) * self.lab.rows_of_cell
        events: list[Event] = []
        for key, (request, step) in list(self.cells.items()):
            total = request.settings.num_inference_steps
            if step == 0:
                events.append(Started(key=key, total=total))
            picture = None
            if preview is not None and preview(key):
                self.lab.previews.append((time.monotonic(), key))
                picture = np.full((16, 16, 3), step % 256, np.uint8)
            events.append(Stepped(key=key, step=step + 1, total=total, preview=picture))
            self.cells[key] = (request, step + 1)
            if reason := self.lab.fails(request.settings):
                del self.cells[key]
                events.append(Failed(key=key, reason=reason))
            elif step + 1 == total:
                del self.cells[key]
                done = generation(request.settings, record=request.record)
                events.append(Finished(key=key, generation=done))
        return events


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def finish(queue: Queue, job_id: str, seconds: float = 20.0) -> Job:
    """The job once it is over."""
    wait_for(lambda: (job := queue.job(job_id)) is not None and job.is_over, seconds)
    job = queue.job(job_id)
    assert job is not None
    return job


def token() -> str:
    return random.randbytes(8).hex()
