"""The continuous batch: what shares a UNet call, and that sharing changes nothing."""

from dataclasses import replace

import pytest
import torch

from core.diffusion.engine import Engine
from core.diffusion.events import Failed, Finished, Request, Stepped
from core.diffusion.models.load import LoadedModel
from core.diffusion.recipe.schedulers import SCHEDULERS
from core.diffusion.sampling.batch import Batch
from core.diffusion.sampling.compute.unet_rows import RowTooLargeError
from core.diffusion.settings import GenerationSettings, SettingsError
from tests.conftest import max_difference

BASE = GenerationSettings(prompt="a blue heart", width=64, height=64, num_inference_steps=4)


@pytest.fixture
def unet_rows(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows of every UNet call, in order."""
    rows: list[int] = []
    forward = model.unet.forward

    def counted(sample: torch.Tensor, *args: object, **kwargs: object) -> object:
        rows.append(len(sample))
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(model.unet, "forward", counted)
    return rows


def test_mixed_cells_in_one_batch_agree_with_strict(engine: Engine) -> None:
    cells = [
        replace(
            BASE,
            scheduler=name,
            guidance_scale=guidance,
            seed=index,
            num_inference_steps=3 + index % 4,
            prompt=f"a {('red', 'blue')[index % 2]} heart",
        )
        for index, name in enumerate(SCHEDULERS)
        for guidance in (1.0, 4.0)
        if not SCHEDULERS[name].stochastic
    ]
    strict = engine.generate(cells, strict=True, record="none")
    batched = engine.generate(cells)
    for one, other in zip(strict, batched, strict=True):
        label = f"{one.settings.scheduler} at {one.settings.guidance_scale}"
        assert one.settings == other.settings
        assert max_difference(one.image, other.image) <= 2, label
    assert max(g.computed.rows for g in batched) > 2
    assert {g.computed.rows for g in strict} == {1, 2}


def test_stochastic_cells_keep_their_own_noise_in_a_batch(engine: Engine) -> None:
    """Each draws from its own generator: neighbours do not change what a seed gives."""
    cells = [
        replace(BASE, scheduler=name, seed=seed)
        for name, row in SCHEDULERS.items()
        if row.stochastic
        for seed in (1, 2)
    ]
    strict = engine.generate(cells, strict=True, record="none")
    batched = engine.generate(cells)
    for one, other in zip(strict, batched, strict=True):
        assert max_difference(one.image, other.image) <= 4, one.settings.scheduler


def test_guidance_off_costs_one_row(engine: Engine, unet_rows: list[int]) -> None:
    guided = replace(BASE, guidance_scale=1.01)
    unguided = replace(BASE, guidance_scale=1.0)
    engine.generate([guided, unguided, replace(unguided, seed=1)])
    assert unet_rows == [4] * 4


def test_finished_cells_leave_and_waiting_cells_enter(
    model: LoadedModel, unet_rows: list[int]
) -> None:
    engine = Engine(model, max_rows=4)
    steps = [1, 4, 2, 2]
    cells = [replace(BASE, num_inference_steps=n, seed=index) for index, n in enumerate(steps)]
    engine.generate(cells)
    # Cells 1 and 2 start; 3 takes 1's place after a step, 4 takes 3's; then 4 ends alone.
    assert unet_rows == [4, 4, 4, 4, 2]


def test_a_strict_cell_runs_alone_beside_a_batch(engine: Engine, unet_rows: list[int]) -> None:
    for index, strict in enumerate((False, True, False)):
        engine.admit(Request(key=str(index), settings=replace(BASE, seed=index), strict=strict))
    engine.step()
    assert unet_rows == [4, 2]


def test_cells_of_several_sizes_are_in_flight_together(
    engine: Engine, unet_rows: list[int]
) -> None:
    """Each size goes through the UNet by itself, in the same step."""
    cells = [replace(BASE, seed=1), replace(BASE, width=128), replace(BASE, seed=2)]
    strict = engine.generate(cells, strict=True)
    unet_rows.clear()
    together = engine.generate(cells)
    assert unet_rows == [4, 2] * BASE.num_inference_steps
    for one, other in zip(strict, together, strict=True):
        assert max_difference(one.image, other.image) <= 2, one.settings
    assert max_difference(strict[1].image, together[1].image) == 0, "as many rows as alone"


def test_a_cell_may_go_beyond_the_rows(model: LoadedModel) -> None:
    engine = Engine(model, max_rows=4)
    for seed in (1, 2):
        engine.admit(Request(key=str(seed), settings=replace(BASE, seed=seed)))
    for more in (replace(BASE, seed=5), replace(BASE, width=128)):
        assert not engine.has_room(more)
        assert not engine.has_room(more, beyond=1)
        assert engine.has_room(more, beyond=2)


def test_a_dropped_cell_stops_and_the_others_go_on(engine: Engine) -> None:
    for key, seed in (("stay", 1), ("go", 2)):
        engine.admit(Request(key=key, settings=replace(BASE, seed=seed)))
    engine.step()
    engine.drop("go")
    finished = [
        event.key
        for _ in range(BASE.num_inference_steps)
        for event in engine.step()
        if isinstance(event, Finished)
    ]
    assert finished == ["stay"]
    assert engine.active == ()
    assert engine.step() == []


def test_ceasing_to_iterate_stops_the_run(engine: Engine, unet_rows: list[int]) -> None:
    events = engine.run([Request(key=str(n), settings=replace(BASE, seed=n)) for n in range(3)])
    for event in events:
        if isinstance(event, Stepped):
            break
    events.close()
    assert unet_rows == [6]
    assert engine.active == ()


def test_previews_are_made_only_for_who_looks(engine: Engine) -> None:
    for key in ("seen", "unseen"):
        engine.admit(Request(key=key, settings=BASE))
    previews = {
        event.key: event.preview
        for event in engine.step(preview=lambda key: key == "seen")
        if isinstance(event, Stepped)
    }
    assert previews["unseen"] is None
    assert previews["seen"] is not None
    assert previews["seen"].shape == (8, 8, 3)
    assert previews["seen"].dtype == "uint8"


def test_a_bad_cell_is_refused_before_it_costs_anything(
    engine: Engine, unet_rows: list[int]
) -> None:
    with pytest.raises(SettingsError, match="width"):
        engine.generate([BASE, replace(BASE, width=63)])
    assert unet_rows == []
    assert engine.active == ()


def test_a_non_finite_cell_fails_alone(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, seed in (("good", BASE.seed), ("bad", 1)):
        engine.admit(Request(key=key, settings=replace(BASE, seed=seed)))
    engine._batch.cells[1].latents[0, 0, 0, 0] = torch.nan
    ends = {
        event.key: event
        for _ in range(BASE.num_inference_steps)
        for event in engine.step()
        if isinstance(event, Finished | Failed)
    }
    assert isinstance(ends["good"], Finished)
    assert isinstance(ends["bad"], Failed)
    assert "no longer finite" in ends["bad"].reason
    alone = engine.generate([BASE], strict=True)[0].image
    assert max_difference(ends["good"].generation.image, alone) <= 2


class LimitedMemory:
    """A UNet whose device holds only so many rows."""

    def __init__(self, model: LoadedModel, rows: int) -> None:
        self.forward = model.unet.forward
        self.rows = rows
        self.seen: list[int] = []

    def __call__(self, sample: torch.Tensor, *args: object, **kwargs: object) -> object:
        self.seen.append(len(sample))
        if len(sample) > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.forward(sample, *args, **kwargs)


def test_out_of_memory_runs_the_same_step_with_half_the_rows(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [replace(BASE, seed=seed) for seed in range(4)]
    expected = Engine(model).generate(cells)
    limited = LimitedMemory(model, rows=3)
    monkeypatch.setattr(model.unet, "forward", limited)
    got = Engine(model).generate(cells)
    for one, other in zip(expected, got, strict=True):
        assert max_difference(one.image, other.image) <= 2
    # Eight rows fail, so do four; from then on two at a time, without another failure.
    assert limited.seen[:4] == [8, 4, 2, 2]
    assert set(limited.seen[4:]) == {2}


def test_when_not_even_one_row_fits_every_cell_says_so(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.unet, "forward", LimitedMemory(model, rows=0))
    engine = Engine(model)
    engine.admit(Request(key="a", settings=BASE))
    failed = [event for event in engine.step() if isinstance(event, Failed)]
    assert [event.key for event in failed] == ["a"]
    assert "Choose a smaller size" in failed[0].reason
    assert engine.active == ()
    batch = Batch(model, max_rows=4)
    batch.admit(BASE)
    with pytest.raises(RowTooLargeError):
        batch.step()


def test_snapshots_come_out_of_one_denoising_run(engine: Engine, unet_rows: list[int]) -> None:
    snapshots = [replace(BASE, snapshot=k) for k in (3, 1, 0, 2)]
    pictures = [g.image for g in engine.generate(snapshots, strict=True, record="latents")]
    assert unet_rows == [2] * 4
    trajectory = engine.generate([BASE], strict=True, record="latents")[0].trajectory
    assert trajectory is not None
    assert trajectory.pred_original_sample is not None
    for settings, picture in zip(snapshots, pictures, strict=True):
        if settings.snapshot:
            x0 = torch.from_numpy(trajectory.pred_original_sample[settings.snapshot - 1])[None]
            assert max_difference(picture, engine.decode(x0)) == 0


def test_a_run_wanted_only_for_a_snapshot_ends_there(engine: Engine, unet_rows: list[int]) -> None:
    generation = engine.generate([replace(BASE, snapshot=2)])[0]
    assert unet_rows == [2, 2]
    assert generation.trajectory is not None
    assert len(generation.trajectory.records) == 2


def test_dropping_one_snapshot_leaves_the_others_their_run(engine: Engine) -> None:
    for k in (1, 3):
        engine.admit(Request(key=str(k), settings=replace(BASE, snapshot=k)))
    engine.drop("3")
    assert [type(event) for event in engine.step()][-1] is Finished
    assert engine.active == ()


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_thousand_steps_run_or_say_why_not(model: LoadedModel, name: str) -> None:
    """Rounding doubles timesteps of the densest schedules, and an offset moves them too far."""
    settings = replace(BASE, scheduler=name, num_inference_steps=1000)
    batch = Batch(model, max_rows=4)
    try:
        cell = batch.admit(settings)
    except SettingsError as error:
        (problem,) = error.problems
        assert problem.field == "num_inference_steps"
        return
    noise = torch.zeros_like(cell.latents)
    for timestep in cell.scheduler.timesteps:
        cell.scheduler.scale_model_input(cell.latents, timestep)
        out = cell.scheduler.step(noise, timestep, cell.latents, **cell.step_kwargs)
        cell.latents = out.prev_sample
    assert torch.isfinite(cell.latents).all()


def test_a_scheduler_is_never_shared(model: LoadedModel) -> None:
    batch = Batch(model, max_rows=8)
    cells = [batch.admit(BASE) for _ in range(3)]
    assert len({id(cell.scheduler) for cell in cells}) == 3
