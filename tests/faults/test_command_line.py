"""The command line under faults: one sentence and an exit code, whatever it is given."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import core.__main__ as command_line
from core.commands import jobs
from core.diffusion.models.load import describe
from core.runs.queue.queue import Queue
from core.runs.store.database import Database
from core.runs.store.store import Store, StoreError
from core.runs.worker.worker import Worker
from tests.core.runs.doubles import FakeModel, Lab
from tests.faults.campaign import counted

LONG_NAME = "a" * 300
GENERATE = ("generate", "--prompt", "a red apple")


def specs(folder: Path) -> dict[str, str]:
    """Files that are no sweep, by what is wrong with them."""
    texts = {
        "deep lists": f"a = {'[' * 500}{']' * 500}",
        "deep tables": f"[base]\nprompt = {'{a = ' * 500}1{'}' * 500}",
        "deep keys": f"[base.{'.'.join(['a'] * 500)}]\nb = 1",
        "deeper keys": f"{'.'.join(['a'] * 5000)} = 1",
        "NUL in a model": '[base]\nmodel = "a\\u0000b"',
        "long model": f'[base]\nmodel = "{LONG_NAME}"',
        "long model path": f'[base]\nmodel = "/tmp/{LONG_NAME}"',
        "model of numbers": "[base]\nmodel = 5",
        "NUL in a prompt": '[base]\nprompt = "a\\u0000b"',
        "long prompt": f'[base]\nprompt = "{"a" * 20_001}"',
    }
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return {name: str(folder / f"{name}.toml") for name in texts}


def test_hostile_arguments_are_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = ("--data", str(tmp_path / "data")), ("--out", str(tmp_path / "a.png"))
    commands = {
        "long picture": (*GENERATE, *data, "--out", str(tmp_path / f"{LONG_NAME}.png")),
        "picture that fits, not with its ending": (
            *(*GENERATE, *data, "--out", str(tmp_path / f"{'a' * 250}.png")),
        ),
        "NUL in a picture": (*GENERATE, *data, "--out", str(tmp_path / "a\0b.png")),
        "long data": (*GENERATE, *out, "--data", str(tmp_path / LONG_NAME)),
        "long model": (*GENERATE, *data, *out, "--model", LONG_NAME),
        "NUL in a model": (*GENERATE, *data, *out, "--model", "a\0b"),
        "long prompt": ("generate", "--prompt", "a" * 20_001, *data, *out),
        "long spec": ("sweep", LONG_NAME, *data, "--plan"),
        "long spec file": ("sweep", f"{LONG_NAME}.toml", *data, "--plan"),
        "NUL in a spec": ("sweep", "a\0b.toml", *data, "--plan"),
        "long saved name": ("export", LONG_NAME, *data, "--out", str(tmp_path / "a.csv")),
        "long export": ("export", "a", *data, "--out", str(tmp_path / f"{LONG_NAME}.csv")),
        **{name: ("sweep", path, *data, "--plan") for name, path in specs(tmp_path).items()},
    }
    with counted("hostile arguments and specs") as count:
        for name, arguments in commands.items():
            with count.one():
                code = command_line.main(arguments)
                said = capsys.readouterr().err
                assert code == 2, (name, code, said[:500])
                assert said.startswith("error: "), name
                assert "Traceback" not in said, name
                assert len(said) < 30_000, name


def fill_disk(monkeypatch: pytest.MonkeyPatch, *, for_all: bool) -> None:
    """From the worker's first step on its thread can write nothing any more, or nobody can."""
    lab, full = Lab(), threading.Event()
    lab.before_step = lambda engine: full.set()
    write = Database.write

    def refusing(database: Database, **options: bool) -> AbstractContextManager[Any]:
        if full.is_set() and (for_all or threading.current_thread().name == "lightbox-worker"):
            raise StoreError("The disk is full.")
        return write(database, **options)

    def worker(store: Store) -> Worker:
        return lab.worker(
            store, describe=describe, load=lambda source: FakeModel(info=describe(source))
        )

    monkeypatch.setattr(jobs, "Worker", worker)
    monkeypatch.setattr(Database, "write", refusing)


@pytest.mark.parametrize("for_all", [False, True], ids=["cancelled", "left waiting"])
def test_a_disk_that_fills_ends_the_command(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    for_all: bool,
) -> None:
    store = Store(tmp_path / "data")
    fill_disk(monkeypatch, for_all=for_all)
    ended: list[int] = []
    arguments = [*GENERATE, "--data", str(store.folder), "--out", str(tmp_path / "a.png")]
    command = threading.Thread(
        target=lambda: ended.append(command_line.main(arguments)), daemon=True
    )
    command.start()
    command.join(60)
    assert ended == [1]
    said = capsys.readouterr().err
    assert "The disk is full." in said
    assert "run the same command again" in said
    (job,) = Queue(store).jobs(limit=1)
    assert job.is_over != for_all
    assert ("waits in the folder" in said) == for_all


def test_stopping_while_nothing_can_be_written_is_still_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "data")
    fill_disk(monkeypatch, for_all=False)

    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    def refuse(*_: object) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(jobs._Patience, "ends_with", interrupted)
    monkeypatch.setattr(Queue, "cancel", refuse)
    out = str(tmp_path / "a.png")
    assert command_line.main([*GENERATE, "--data", str(store.folder), "--out", out]) == 130
    assert "the job waits in the folder" in capsys.readouterr().err
