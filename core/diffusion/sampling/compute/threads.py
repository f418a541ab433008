"""Threads that take work in turn, to the very end of the program."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Barrier, Thread
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_Work = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]


class Threads:
    """A ThreadPoolExecutor whose threads are daemons: Python's own pools take no more work from
    the moment the program begins to end, when the worker still has a step in hand.

    `prepare` runs in each thread before its first work, and before the constructor returns. The
    threads end with the object.
    """

    def __init__(self, count: int, name: str, prepare: Callable[[], object] = lambda: None) -> None:
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        ready = Barrier(count + 1)
        for number in range(count):
            arguments = (self._work, prepare, ready)
            Thread(target=_serve, args=arguments, name=f"{name}-{number}", daemon=True).start()
        ready.wait()
        weakref.finalize(self, _dismiss, self._work, count).atexit = False

    def submit(self, do: Callable[..., R], *given: Any) -> Future[R]:
        future: Future[R] = Future()
        self._work.put((future, do, given))
        return future

    def map(self, do: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Return the results in the order of `items`. Raises what the first that failed raised."""
        return [future.result() for future in [self.submit(do, item) for item in items]]


@functools.cache
def one_thread_each(count: int) -> Threads:
    """The program's threads in which PyTorch uses one core each; the caller's keeps all."""
    import torch

    before = torch.get_num_threads()

    def settle() -> None:
        torch.get_num_threads()  # its first use in a thread would overrule what is set before
        torch.set_num_threads(1)

    threads = Threads(count, "lightbox-row", settle)
    torch.set_num_threads(before)
    return threads


def _serve(queue: SimpleQueue[_Work | None], prepare: Callable[[], object], ready: Barrier) -> None:
    prepare()
    ready.wait()
    while (work := queue.get()) is not None:
        future, do, given = work
        try:
            future.set_result(do(*given))
        except BaseException as error:
            future.set_exception(error)
        # Until the next one comes this frame would hold what the last one was given.
        del work, future, do, given


def _dismiss(queue: SimpleQueue[_Work | None], count: int) -> None:
    for _ in range(count):
        queue.put(None)
