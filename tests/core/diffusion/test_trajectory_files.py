"""Trajectory files of other versions: a quantity more or less is no damage."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from core.diffusion import trajectory as module
from core.diffusion.trajectory import FILE_VERSION, StepRecord, Trajectory, TrajectoryError
from core.runs.store.store import Store, StoreError
from tests.core.runs.doubles import RECORD, generation, info

ESSENTIAL = ("step_index", "timestep", "sigma", "log_snr")
"""Where a record stands: without it there is nothing to draw a quantity over."""
QUANTITIES = [field.name for field in fields(StepRecord) if field.name not in ESSENTIAL]


def rewritten(data: bytes, version: str | None = "1", **changes: Any) -> bytes:
    """The file as another version would have written it; a change to `...` leaves the name out."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    records = json.loads(header["__metadata__"]["records"])
    changed = [
        {name: value for name, value in {**record, **changes}.items() if value is not ...}
        for record in records
    ]
    metadata = {"records": json.dumps(changed)}
    if version is not None:
        metadata["version"] = version
    return save(load(data), metadata=metadata)


def file() -> bytes:
    return Trajectory(records=(RECORD,), latents=np.ones((2, 4, 2, 2), np.float32)).to_bytes()


def test_a_file_says_its_version() -> None:
    data = file()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header["__metadata__"]["version"] == str(FILE_VERSION)


@pytest.mark.parametrize("version", [None, "1", "2"])
def test_an_additional_quantity_is_dropped(version: str | None) -> None:
    back = Trajectory.from_bytes(rewritten(file(), version, entropy=0.25, words=["a", "b"]))
    assert back.records == (RECORD,)
    assert back.latents is not None


@pytest.mark.parametrize("name", QUANTITIES)
def test_a_missing_quantity_is_none(name: str) -> None:
    (record,) = Trajectory.from_bytes(rewritten(file(), **{name: ...})).records
    absent = () if name.startswith("channel") else None
    assert asdict(record) == asdict(RECORD) | {name: absent}


def test_a_quantity_that_this_version_added_is_none_in_older_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @dataclass(frozen=True, kw_only=True)
    class LaterRecord(StepRecord):
        entropy: float | None = None

    monkeypatch.setattr(module, "StepRecord", LaterRecord)
    (record,) = Trajectory.from_bytes(file()).records
    assert isinstance(record, LaterRecord)
    assert record.entropy is None
    assert record.latent_rms == RECORD.latent_rms


def test_every_quantity_may_be_missing() -> None:
    """Whoever adds a field without a default would make every stored trajectory unreadable."""
    assert [one.name for one in fields(StepRecord) if one.default is MISSING] == list(ESSENTIAL)


@pytest.mark.parametrize(
    "changes", [{"sigma": ...}, {"sigma": "wide"}, {"channel_mean": 3.0}, {"x0_rms": [1.0]}]
)
def test_what_is_no_record_is_damage_and_is_recorded_anew(
    store: Store, changes: dict[str, Any]
) -> None:
    digest = store.put(generation(), info()).digest
    path = store.files.trajectory(digest)
    path.write_bytes(rewritten(path.read_bytes(), **changes))
    with pytest.raises(StoreError, match="is damaged"):
        store.trajectory(digest)
    assert store.holds([digest], "norms") == set()


def test_what_only_a_newer_version_reads_is_kept(store: Store) -> None:
    digest = store.put(generation(), info()).digest
    path = store.files.trajectory(digest)
    path.write_bytes(rewritten(path.read_bytes(), "2", sigma={"mean": 3.0}))
    with pytest.raises(StoreError, match="written by a newer version"):
        store.trajectory(digest)
    assert store.holds([digest], "norms") == {digest}
    with pytest.raises(TrajectoryError) as raised:
        Trajectory.from_bytes(path.read_bytes())
    assert not raised.value.is_damaged


def test_quantities_more_or_less_keep_a_stored_trajectory(store: Store) -> None:
    digest = store.put(generation(), info()).digest
    path = store.files.trajectory(digest)
    path.write_bytes(rewritten(path.read_bytes(), None, entropy=0.25, saturation=...))
    kept = store.trajectory(digest)
    assert kept is not None
    assert kept.records[0].saturation is None
    assert store.holds([digest], "norms") == {digest}


@pytest.fixture
def store(tmp_path: Any) -> Store:
    return Store(tmp_path / "data")
