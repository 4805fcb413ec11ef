"""Hand-made flights, and the window that ships with the demo."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from deploy.demo.features import Features
from deploy.demo.tables import Flights, Texts, Window

DEFAULTS: dict[str, Any] = {
    "flight": "UA1.0101",
    "origin": "EWR",
    "dest": "IAH",
    "carrier": "UA",
    "tailnum": "N1",
    "sched_min": 600,
    "block_min": 180.0,
    "distance": 1000.0,
    "carrier_late": 0.2,
    "dest_late": 0.2,
    "number_late": 0.2,
    "dep_delay": 0.0,
    "arr_delay": 0.0,
}


def _flights(*rows: dict[str, Any]) -> Flights:
    columns = {}
    for field in fields(Flights):
        values = [row.get(field.name, DEFAULTS[field.name]) for row in rows]
        kind = np.int32 if field.name == "sched_min" else np.object_ if field.type == Texts else np.float32
        columns[field.name] = np.array(values, dtype=kind)
    return Flights(**columns)


@pytest.fixture(scope="session")
def flights() -> Callable[..., Flights]:
    """Builds flights from the columns that matter to a test."""
    return _flights


@pytest.fixture(scope="session")
def window() -> Window:
    """The data that ship."""
    return Window.read()


@pytest.fixture(scope="session")
def known(window: Window) -> Features:
    """Feature rows of the data that ship."""
    return Features(window)
