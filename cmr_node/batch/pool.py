"""Processes that read what may be damaged, so that this one does not.

The promise kept here: a file that kills its reader, or never lets it answer, costs that reader
and nothing else.  Calls are bundles of items; when a process dies, the bundles that were in work
are tried again one at a time, then item by item, and the item that does it again is answered
``Died``.  The processes die with this one, whatever it dies of: the kernel ties them to the
thread that calls ``submit`` and ``turn``, so let that be the main one.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

from cmr_node import lifeline
from cmr_node.telemetry import set_up_logging

logger = logging.getLogger(__name__)

DEPTH: Final = 3  # calls handed out for each process: one in work, the others at hand


@dataclass(frozen=True, slots=True)
class Died:
    """In place of the results of one item: what became of whoever worked on it."""

    reason: str


Results = Sequence[Any] | Died
Then = Callable[[Sequence[Any], Results], None]
"""Told the items of a call, or of a part of it, and their results."""


@dataclass(frozen=True, slots=True)
class _Call:
    function: Callable[..., Sequence[Any]]
    context: Any
    items: Sequence[Any]
    then: Then

    def parts(self) -> Iterator[_Call]:
        for item in self.items:
            yield _Call(self.function, self.context, [item], self.then)


class Pool:
    """Some processes; ``turn`` is called again and again while ``busy``."""

    def __init__(self, workers: int, patience: float, log: tuple[str, str]) -> None:
        """``patience`` (s): a call that takes longer counts as the death of its process."""
        self._workers, self._patience, self._log = workers, patience, log
        self._executor: ProcessPoolExecutor | None = None
        self._waiting: deque[_Call] = deque()
        self._suspects: deque[_Call] = deque()
        self._running: dict[Future[Results], _Call] = {}

    @classmethod
    @contextmanager
    def open(cls, workers: int, patience: float, log: tuple[str, str]) -> Iterator[Self]:
        """A pool whose processes are gone at the end, whatever they were at."""
        pool = cls(workers, patience, log)
        try:
            yield pool
        finally:
            pool._kill()

    @property
    def busy(self) -> bool:
        """Whether there is anything to wait for."""
        return bool(self._waiting or self._suspects or self._running)

    @property
    def has_room(self) -> bool:
        """Whether a further call would keep a process busy."""
        return len(self._waiting) + len(self._running) < DEPTH * self._workers

    def submit(
        self,
        function: Callable[..., Sequence[Any]],
        context: Any,
        items: Sequence[Any],
        then: Then,
    ) -> None:
        """Have ``function(context, items)`` called; it gives one result an item, or any number."""
        self._waiting.append(_Call(function, context, items, then))
        self._hand_out()

    def turn(self) -> None:
        """Wait for one call and tell what came of it; nothing if there is none."""
        self._hand_out()
        done, _ = wait(self._running, self._patience, FIRST_COMPLETED)
        if not done and self._running:
            logger.error("no answer for %g s; the processes are started anew", self._patience)
            self._bury(f"no answer in {self._patience:g} s")
            return
        for future in done:
            if isinstance(future.exception(), BrokenProcessPool):
                self._bury("the process that read it died")
                return
            call = self._running.pop(future)
            results = future.result()
            if isinstance(results, Died) and len(call.items) > 1:
                self._suspects.extend(call.parts())
            else:
                call.then(call.items, results)

    def _hand_out(self) -> None:
        """Give calls to the processes: suspects alone, the others as many as are useful."""
        if self._suspects:
            if not self._running:
                self._start(self._suspects.popleft())
            return
        while self._waiting and len(self._running) < DEPTH * self._workers:
            self._start(self._waiting.popleft())

    def _start(self, call: _Call) -> None:
        if self._executor is None:
            self._executor = _executor(self._workers, self._log)
        future = self._executor.submit(_answer, call.function, call.context, call.items)
        self._running[future] = call

    def _bury(self, reason: str) -> None:
        """Start anew after a death; who was alone and did it is known."""
        calls = list(self._running.values())
        self._kill()
        self._running.clear()
        if len(calls) > 1:
            self._suspects.extend(calls)
        elif len(calls[0].items) > 1:
            self._suspects.extendleft(reversed(list(calls[0].parts())))
        else:
            calls[0].then(calls[0].items, Died(reason))

    def _kill(self) -> None:
        executor, self._executor = self._executor, None
        if executor is None:
            return
        for process in list((executor._processes or {}).values()):  # kill_workers() in 3.14
            process.kill()
        executor.shutdown(wait=True, cancel_futures=True)


def _executor(workers: int, log: tuple[str, str]) -> ProcessPoolExecutor:
    # Not fork: the progress bar has a thread.  Not a fork server: it outlives this process as
    # long as its children live, and they cannot be tied to anybody else.
    spawning = multiprocessing.get_context("spawn")
    arguments = (os.getpid(), *log)
    return ProcessPoolExecutor(workers, mp_context=spawning, initializer=_begin, initargs=arguments)


def _begin(parent: int, log_format: str, log_level: str) -> None:
    """What a process does first."""
    lifeline.tie_to(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process says when to stop
    set_up_logging(log_format, log_level)


def _answer(function: Callable[..., Sequence[Any]], context: Any, items: Sequence[Any]) -> Results:
    """The results, or that the function failed: a fault must not end the run."""
    try:
        return function(context, items)
    except MemoryError:
        return Died("there is not enough memory for it")
    except Exception as error:
        # Booked in the report of the very file; its words may quote a header.
        logger.exception("a fault while reading")
        return Died(f"a fault of cmr-node ({type(error).__name__}); see the log")
