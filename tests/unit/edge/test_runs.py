"""Runs of models that take too long."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from edge.runs import INLINE_LIMIT_S, THREAD_LIMIT_S, Runs
from precompute.errors import ModelStuck
from precompute.runtime import Session
from tests import onnx_models


def test_a_short_run_is_left_alone() -> None:
    """And so is one that has ended."""
    runs, stopped = Runs(), list[str]()
    runs.begin(lambda: stopped.append("a"))

    runs.look(time.monotonic() + INLINE_LIMIT_S / 2)
    runs.end()
    runs.look(time.monotonic() + 1000.0)

    assert (stopped, runs.ended) == ([], 0)


def test_the_event_loop_may_run_shorter_than_threads() -> None:
    """Each is ended once."""
    runs, stopped = Runs(), list[str]()
    began, done = threading.Event(), threading.Event()

    def elsewhere() -> None:
        runs.begin(lambda: stopped.append("thread"))
        began.set()
        done.wait(10.0)
        runs.end()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    began.wait(10.0)
    runs.begin(lambda: stopped.append("loop"))
    now_s = time.monotonic()

    runs.look(now_s + INLINE_LIMIT_S + 0.1)
    assert stopped == ["loop"]
    runs.look(now_s + THREAD_LIMIT_S + 0.1)

    done.set()
    thread.join()
    assert (stopped, runs.ended) == (["loop", "thread"], 2)


def test_a_model_without_end_is_ended() -> None:
    """By another thread; the session is good for the next run."""
    session = Session.load(onnx_models.looping(2, turns_at=1))
    endless = threading.Timer(0.02, session.stop_runs)
    endless.start()

    with pytest.raises(ModelStuck):
        session.run({"x": np.array([[1, 2e9]], np.float32)})

    endless.join()
    assert session.run({"x": np.array([[1, 3]], np.float32)})["y"] == [[0.0]]
