"""Engine: settings in, events out. Encodes, runs the batch, decodes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from PIL import Image

from core.diffusion.events import (
    Computed,
    Event,
    Failed,
    Finished,
    Generation,
    Prediction,
    Record,
    Request,
    Started,
    Stepped,
)
from core.diffusion.models.info import preview_rgb
from core.diffusion.models.loaded import LoadedModel
from core.diffusion.models.vae.files import VaeFile, wanted_vae
from core.diffusion.models.vae.loading import with_vae
from core.diffusion.recipe.images import ReadInput
from core.diffusion.recipe.limits import MAX_ROWS
from core.diffusion.recipe.schedule import denoised
from core.diffusion.sampling.batch import Batch
from core.diffusion.sampling.cell import BatchCell, Rider
from core.diffusion.sampling.compute.memory import is_out_of_memory, with_room
from core.diffusion.sampling.compute.unet_rows import RowTooLargeError
from core.diffusion.sampling.computed import versions, why_not_finite
from core.diffusion.sampling.pictures import GenerationError, Pictures, Wanted
from core.diffusion.sampling.recording import trajectory_of
from core.diffusion.sampling.source_latents import Overlay
from core.diffusion.settings import GenerationSettings, Problem, SettingsError

__all__ = ["Engine", "GenerationError"]


class Engine:
    """One model on one device, driven by one thread; cells come and go between steps."""

    def __init__(
        self,
        model: LoadedModel,
        *,
        max_rows: int = MAX_ROWS,
        inputs: ReadInput | None = None,
    ) -> None:
        """`inputs` reads the source pictures of image-to-image: `Store.inputs.read`, for one."""
        self.model = model
        self._batch = Batch(model, max_rows=max_rows, inputs=inputs)
        self._riders: dict[str, Rider] = {}
        self._pictures = Pictures(model)

    @property
    def active(self) -> tuple[str, ...]:
        return tuple(self._riders)

    @property
    def rows_of_step(self) -> int:
        """UNet rows of the step that was last: guidance that has not begun or has ended fills none,
        and images of one run share theirs.
        """
        return self._batch.rows_of_step

    def has_room(self, settings: GenerationSettings, *, beyond: int = 0) -> bool:
        """Return whether `admit` would find a place now: rows are left, `beyond` more than go
        together, or it needs none.
        """
        rides_along = self._shared_cell(settings) is not None
        return rides_along or self._batch.has_room(settings, beyond=beyond)

    def admit(self, request: Request) -> None:
        """Add a cell to the batch. Raises SettingsError for settings that cannot be run, and
        InputError where the source picture of image-to-image is not there.
        """
        if request.key in self._riders:
            raise ValueError(f"{request.key} is in flight already")
        settings = request.settings
        if not request.is_valid:
            settings.require_valid(vae_scale_factor=self.model.info.vae_scale_factor)
        began = time.perf_counter()
        vae = wanted_vae(settings)
        with_vae(self.model, vae)  # loaded now: one that cannot be is found before the first step
        cell = self._shared_cell(settings)
        if cell is None or (cell.strict, cell.record) != (request.strict, request.record):
            cell = self._admit(request)
            if settings.snapshot > cell.total_calls:
                self._batch.drop(cell)
                reason = f"{settings.snapshot} is beyond the {cell.total_calls} UNet calls left"
                raise SettingsError([Problem(field="snapshot", reason=reason)])
        seconds = time.perf_counter() - began
        self._riders[request.key] = Rider(request=request, cell=cell, vae=vae, seconds=seconds)

    def _admit(self, request: Request) -> BatchCell:
        """Encoding the prompts or the source may run out of memory too."""
        run = denoised(request.settings)

        def admit() -> BatchCell:
            return self._batch.admit(run, strict=request.strict, record=request.record)

        try:
            return with_room(self.model.device, admit)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        reason = "ran out of memory before the first step: choose a smaller size"
        raise SettingsError([Problem(field="width", reason=reason)])

    def _shared_cell(self, settings: GenerationSettings) -> BatchCell | None:
        """A run in flight that will still come by what these settings ask for."""
        run = denoised(settings)
        for cell in self._batch.cells:
            if cell.settings == run and cell.call < (settings.snapshot or cell.total_calls):
                return cell
        return None

    def prediction(self, key: str) -> Prediction | None:
        """Return what a request in flight is predicted to become; None before its first step."""
        rider = self._riders[key]
        if rider.cell.x0 is None:
            return None
        cell = rider.cell
        return Prediction(
            latents=cell.x0,
            step=cell.call,
            total=rider.total,
            overlay=cell.overlay,
            vae=rider.vae,
        )

    def drop(self, key: str) -> None:
        """Forgets a request in flight: what it had done is lost, the others go on."""
        cell = self._riders.pop(key).cell
        if not any(rider.cell is cell for rider in self._riders.values()):
            self._batch.drop(cell)

    def step(self, preview: Callable[[str], bool] | None = None) -> list[Event]:
        """One denoising step of every cell in flight, and what came of it; [] when idle.

        `preview` says for a key whether somebody looks: only then is a picture made.
        """
        events: list[Event] = []
        for key, rider in self._riders.items():
            if not rider.is_announced:
                rider.is_announced = True
                events.append(Started(key=key, total=rider.total))
        began = time.perf_counter()
        try:
            self._batch.step()
        except RowTooLargeError as error:
            reason = f"Out of memory: {error}. Choose a smaller size."
            return events + [self._fail(key, reason) for key in self.active]
        self._share_out(time.perf_counter() - began)
        for key, rider in list(self._riders.items()):
            cell = rider.cell
            if cell.failure:
                events.append(self._fail(key, cell.failure))
                continue
            picture = self._preview(cell) if preview is not None and preview(key) else None
            events.append(Stepped(key=key, step=cell.call, total=rider.total, preview=picture))
        over = [key for key, rider in self._riders.items() if rider.cell.call == rider.total]
        return events + self._finish(over)

    def _share_out(self, seconds: float) -> None:
        """Divide the time of a step among all in flight: by rows, and evenly within one run."""
        riders = Counter(id(rider.cell) for rider in self._riders.values())
        cells = {id(rider.cell): rider.cell for rider in self._riders.values()}
        all_rows = sum(cell.last_rows for cell in cells.values())
        for rider in self._riders.values():
            rider.seconds += seconds * rider.cell.last_rows / all_rows / riders[id(rider.cell)]

    def run(
        self, requests: Iterable[Request], *, preview: Callable[[str], bool] | None = None
    ) -> Iterator[Event]:
        """Run all requests through the continuous batch. To stop, cease to iterate."""
        waiting = iter(requests)
        pending = next(waiting, None)
        own: set[str] = set()
        try:
            while pending is not None or own:
                while pending is not None and self.has_room(pending.settings):
                    self.admit(pending)
                    own.add(pending.key)
                    pending = next(waiting, None)
                for event in self.step(preview):
                    if isinstance(event, Finished | Failed):
                        own.discard(event.key)
                    yield event
        finally:
            for key in own.intersection(self._riders):
                self.drop(key)

    def generate(
        self,
        settings: Sequence[GenerationSettings],
        strict: bool = False,
        record: Record = "norms",
    ) -> list[Generation]:
        """The images of all settings, in their order.

        Raises SettingsError before anything is computed, GenerationError when one fails and
        InputError for a source picture that is not there.
        """
        for one in settings:
            one.require_valid(vae_scale_factor=self.model.info.vae_scale_factor)
        requests = (
            Request(key=str(index), settings=one, strict=strict, record=record, is_valid=True)
            for index, one in enumerate(settings)
        )
        done: dict[str, Generation] = {}
        for event in self.run(requests):
            if isinstance(event, Failed):
                raise GenerationError(event.reason)
            if isinstance(event, Finished):
                done[event.key] = event.generation
        return [done[str(index)] for index in range(len(settings))]

    def decode(
        self, latents: torch.Tensor, overlay: Overlay | None = None, vae: VaeFile | None = None
    ) -> Image.Image:
        """Scaled latents (1, C, h, w) -> picture, as the family's pipeline decodes it, by its own
        VAE or another; with an `overlay` laid back into its source.

        Raises GenerationError where no finite numbers come out.
        """
        picture = self._pictures.one(latents, vae)
        return picture if overlay is None else overlay.laid(picture)

    def _preview(self, cell: BatchCell) -> np.ndarray | None:
        if cell.x0 is None:
            return None
        return preview_rgb(cell.x0[0].float().cpu().numpy(), self.model.info)

    def _finish(self, keys: Sequence[str]) -> list[Event]:
        """The pictures of these, whose steps are over. Those of strict cells are decoded alone."""
        events: list[Event] = []
        wanted: list[Wanted] = []
        for key in keys:
            rider = self._riders[key]
            cell, is_snapshot = rider.cell, rider.request.settings.snapshot > 0
            found = cell.x0 if is_snapshot and cell.x0 is not None else cell.latents
            if torch.isfinite(found).all():
                wanted.append(Wanted(key=key, latents=found, vae=rider.vae, alone=cell.strict))
                continue
            events.append(self._fail(key, why_not_finite(cell, self.model)))
        for one in self._pictures.each(wanted):
            self._riders[one.key].seconds += one.seconds
            if one.picture is None:
                events.append(self._fail(one.key, one.reason))
            else:
                events.append(self._generation(one.key, one.picture))
        return events

    def _generation(self, key: str, image: Image.Image) -> Finished:
        cell, request = self._riders[key].cell, self._riders[key].request
        generation = Generation(
            settings=request.settings,
            image=image if cell.overlay is None else cell.overlay.laid(image),
            seconds=self._riders[key].seconds,
            trajectory=trajectory_of(cell),
            computed=Computed(
                device=self.model.device.type,
                dtype=str(self.model.dtype).removeprefix("torch."),
                rows=cell.most_rows,
                strict=cell.strict,
                versions=versions(),
            ),
        )
        self.drop(key)
        return Finished(key=key, generation=generation)

    def _fail(self, key: str, reason: str) -> Failed:
        self.drop(key)
        return Failed(key=key, reason=reason)
