from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from cmr_node.batch.pool import Died, Pool, Results

LOG = ("text", "CRITICAL")


def doubled(context: int, items: Sequence[int]) -> list[int]:
    return [context * item for item in items]


def deadly(context: str, items: Sequence[str]) -> list[str]:
    for item in items:
        if item == "exit":
            os._exit(1)
        if item == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "hang":
            time.sleep(60)
        if item == "raise":
            raise ValueError("CANARY^PATIENT")
    return [item.upper() for item in items]


def process_id(context: None, items: Sequence[int]) -> list[int]:
    return [os.getpid() for _ in items]


class Answers:
    def __init__(self) -> None:
        self.of: dict[object, object] = {}

    def __call__(self, items: Sequence[object], results: Results) -> None:
        if isinstance(results, Died):
            (item,) = items
            self.of[item] = results
        else:
            self.of.update(zip(items, results, strict=True))


def run(pool: Pool) -> None:
    while pool.busy:
        pool.turn()


def test_every_call_is_answered() -> None:
    heard = Answers()
    with Pool.open(2, 30, LOG) as pool:
        for start in range(0, 100, 10):
            pool.submit(doubled, 2, list(range(start, start + 10)), heard)
        run(pool)
    assert heard.of == {n: 2 * n for n in range(100)}


@pytest.mark.parametrize("death", ["exit", "kill"])
def test_what_kills_its_reader_is_named_and_the_rest_goes_on(death: str) -> None:
    heard = Answers()
    with Pool.open(2, 30, LOG) as pool:
        pool.submit(deadly, "", ["a", death, "b"], heard)
        for letters in ("cd", "ef", "gh", "ij"):
            pool.submit(deadly, "", list(letters), heard)
        run(pool)
    assert heard.of.pop(death) == Died("the process that read it died")
    assert heard.of == {letter: letter.upper() for letter in "abcdefghij"}


def test_what_never_answers_is_named_and_the_rest_goes_on() -> None:
    heard = Answers()
    with Pool.open(2, 1, LOG) as pool:
        pool.submit(deadly, "", ["a", "hang"], heard)
        pool.submit(deadly, "", ["b"], heard)
        run(pool)
    assert heard.of == {"a": "A", "b": "B", "hang": Died("no answer in 1 s")}


def test_a_fault_is_told_without_its_words() -> None:
    heard = Answers()
    with Pool.open(1, 30, LOG) as pool:
        pool.submit(deadly, "", ["a", "raise", "b"], heard)
        run(pool)
    died = heard.of.pop("raise")
    assert isinstance(died, Died)
    assert "ValueError" in died.reason
    assert "CANARY" not in died.reason
    assert heard.of == {"a": "A", "b": "B"}


def test_no_process_outlives_the_pool() -> None:
    heard = Answers()
    with Pool.open(2, 30, LOG) as pool:
        pool.submit(process_id, None, [1], heard)
        run(pool)
        pid = heard.of[1]
        pool.submit(deadly, "", ["hang"], heard)
    assert not Path(f"/proc/{pid}").exists()


def test_an_idle_pool_starts_nothing() -> None:
    with Pool.open(2, 30, LOG) as pool:
        assert not pool.busy
        assert pool.has_room
