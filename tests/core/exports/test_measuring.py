"""Stored pictures are measured once, and again when they have changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.diffusion.settings import GenerationSettings
from core.exports.measuring import known_of, measure_cells, measure_missing, unet_rows
from core.output.numbers import quantities
from core.output.numbers.quantities import QUANTITIES
from core.runs.queue.task_table import TASKS
from core.runs.queue.tasks import Tasks
from core.runs.store.store import Store, StoredImage
from core.runs.worker.tasks.work import TaskContext, Work
from tests.core.runs.doubles import colour, generation, info, settings


def put(store: Store, *seeds: int) -> list[StoredImage]:
    return [store.put(generation(settings(seed)), info(), clip_score=20.0) for seed in seeds]


def result_of(work: Work) -> tuple[list[tuple[int, int]], int]:
    said: list[tuple[int, int]] = []
    while True:
        try:
            said.append(next(work))  # type: ignore[arg-type]
        except StopIteration as end:
            return said, end.value


def count_measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each picture that is measured by itself."""
    calls: list[int] = []
    row = QUANTITIES["entropy"]

    def counting(image: object) -> float:
        calls.append(1)
        return 1.0

    counted = type(row)(**{**vars(row), "of_picture": counting})
    monkeypatch.setitem(quantities.QUANTITIES, "entropy", counted)  # type: ignore[arg-type]
    return calls


def test_the_task_measures_and_keeps(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one, other = put(store, 1, 200)
    digests, pairs = [one.digest, other.digest], [[other.digest, one.digest]]
    context = TaskContext(store=store, source=Tasks(store).source)
    given = (context, GenerationSettings(), digests, pairs, digests)
    said, count = result_of(TASKS["measures"].load()(*given))
    assert (said[-1], count) == ((5, 5), 5)
    known = known_of(Store(tmp_path), digests, [(other.digest, one.digest)], model="bundled")
    assert known.is_whole
    assert known.values[one.digest]["clip_score"] == 20.0
    assert known.values[one.digest]["final_latent_rms"] == 1.0
    assert known.values[one.digest]["settled_step"] == 1.0
    assert known.values[one.digest]["entropy"] == 0.0
    pair = known.of_pair(other.digest, one.digest)
    a, b = (np.array(colour(image.settings), float) for image in (one, other))
    assert pair["rmse"] == pytest.approx(np.sqrt(np.mean((a - b) ** 2)))
    assert pair["ssim"] is not None
    assert pair["clip_cosine"] == pytest.approx(
        float(known.embeddings[one.digest] @ known.embeddings[other.digest])
    )
    assert np.linalg.norm(known.embeddings[one.digest]) == pytest.approx(1)


def test_a_second_look_measures_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    digests = [image.digest for image in put(store, 1, 2)]
    calls = count_measured(monkeypatch)
    first = measure_missing(store, digests)
    assert (len(calls), first.is_whole) == (2, True)
    assert measure_missing(Store(tmp_path), digests).values == first.values
    assert len(calls) == 2
    measure_missing(store, [*digests, put(store, 3)[0].digest])
    assert len(calls) == 3


def test_another_version_of_a_measure_measures_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    (image,) = put(store, 1)
    assert measure_missing(store, [image.digest]).is_whole
    monkeypatch.setitem(measure_cells.__globals__["VERSIONS"], "entropy", 2)
    assert known_of(store, [image.digest]).lacking == (image.digest,)


def test_a_picture_that_was_deleted_or_recorded_again_is_measured_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    one, other = put(store, 1, 2)
    digests, pairs = [one.digest, other.digest], [(one.digest, other.digest)]
    measure_missing(store, digests, pairs, model="bundled")
    store.put(generation(settings(1), record="latents"), info())
    assert known_of(store, digests).lacking == (one.digest,)
    measure_missing(store, digests, pairs, model="bundled")
    store.delete([other.digest])
    put(store, 2)
    known = known_of(store, digests, pairs, model="bundled")
    assert known.lacking == (other.digest,)
    assert known.lacking_pairs == tuple(pairs)
    assert known.unseen == (other.digest,)


def test_what_cannot_be_measured_is_known_to_be_so(tmp_path: Path) -> None:
    """None is kept, so that nothing is tried again and again."""
    store = Store(tmp_path)
    small = store.put(generation(settings(1, width=8, height=8), record="none"), info())
    large = put(store, 2)[0]
    pairs = [(small.digest, large.digest)]
    known = measure_missing(store, [small.digest, large.digest], pairs)
    assert known.is_whole
    assert known.values[small.digest]["settled_step"] is None
    assert known.of_pair(*pairs[0])["rmse"] is None


def test_a_damaged_file_is_left_out_and_the_others_are_measured(tmp_path: Path) -> None:
    store = Store(tmp_path)
    bad, good = put(store, 1, 2)
    bad.path.write_bytes(b"no picture at all")
    known = measure_missing(store, [bad.digest, good.digest])
    assert known.lacking == (bad.digest,)
    assert good.digest in known.values
    assert store.holds([bad.digest]) == set(), "it is missing from now on"


def test_rows_count_each_picture_by_itself() -> None:
    guided = settings(1, guidance_scale=5.0, scheduler="Euler")
    alone = settings(1, guidance_scale=1.0, scheduler="Euler")
    steps = guided.num_inference_steps
    assert unet_rows([guided, alone]) == {guided: 2 * steps, alone: steps}
    assert unet_rows([settings(1, model="no/such")]) == {}
