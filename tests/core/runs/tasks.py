"""Tasks of the tests: rows of TASKS that last as long as a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.diffusion.settings import GenerationSettings
from core.runs.queue.task_table import TASKS, TaskRow
from core.runs.queue.tasks import TaskRequest, Tasks, TaskState
from tests.core.runs.doubles import wait_for

Make = Callable[..., TaskRequest]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    """make(name, function, source): a request for a task that runs `function(context)`."""

    def make_request(
        name: str,
        function: Callable[..., Any],
        source: str = "bundled",
        *,
        needs_model: bool = True,
        results: tuple[str, ...] = (),
    ) -> TaskRequest:
        def work(context: Any, settings: GenerationSettings, **arguments: Any) -> Any:
            return function(context, **arguments)

        row = TaskRow(function=work, label=name, needs_model=needs_model, results=results)
        monkeypatch.setitem(TASKS, name, row)
        return TaskRequest(name=name, settings=GenerationSettings(model=source))

    return make_request


def over(tasks: Tasks, request: TaskRequest) -> TaskState:
    """Its state once it is over."""
    wait_for(lambda: (state := tasks.state(request.key)) and state.is_over)
    state = tasks.state(request.key)
    assert state is not None
    return state


def result_of(tasks: Tasks, request: TaskRequest) -> Any:
    """Its result once it is done."""
    state = over(tasks, request)
    assert state.state == "done", state.reason
    return tasks.result(request.key)


def word(tasks: Tasks, request: TaskRequest) -> str:
    """Its state in a word; "" for a task that is not known."""
    state = tasks.state(request.key)
    return state.state if state else ""
