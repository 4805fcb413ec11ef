"""Rows packed with earlier declarations, read with today's."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest

from precompute.errors import StoreUnavailable
from precompute.layouts import Layouts, layout_commands
from precompute.manifest import Project, parse
from precompute.rows import STAMP, Layout
from precompute.store import CommandFailed
from precompute.views import Field

STAMPED = STAMP.pack(1_700_000_000_000, 1_700_000_000_500, 7)


def _project(fields: str) -> Project:
    return parse(f"[project]\nname = 'p'\n[views.weather.fields]\n{fields}")


BEFORE = _project("temp = 'float32'\nwind = 'int32'\nstation = 'string'\nvector = 'float32[3]'")
AFTER = _project(
    "station = 'string'\nrain = { type = 'float32', missing = 'nan' }\nvector = 'float32[3]'\ntemp = 'float32'\n"
    "wind = 'int64'\nnote = 'string'"
)


def _row(project: Project) -> bytes:
    values = {"temp": 21.5, "wind": 7, "station": "JFK é", "vector": [1.0, 2.0, 3.0]}
    return STAMPED + Layout(project.view("weather")).encode(values)


def _announced(*projects: Project) -> list[bytes]:
    """The reply to `layout_commands`, as Redis gives it."""
    flat: list[bytes] = []
    for project in projects:
        layout = Layout(project.view("weather"))
        flat += [str(layout.id).encode(), orjson.dumps([[f.name, str(f)] for f in layout.view.fields])]
    return flat


def _decoded(layouts: Layouts, rows: Sequence[bytes | None]) -> list[dict[str, object] | None]:
    return [row and layouts.current("weather").decode(row) for row in rows]


def test_fields_that_are_still_there_keep_their_values() -> None:
    """Added, retyped and reordered fields: the rest is read where it now belongs, with the stamp it had."""
    layouts = Layouts(AFTER)

    (row,) = layouts.known("weather", [_row(BEFORE)], _announced(BEFORE))

    assert row is not None
    assert row[: STAMP.size] == STAMPED
    assert layouts.current("weather").fits(row)
    assert _decoded(layouts, [row]) == [
        {"station": "JFK é", "rain": None, "vector": [1.0, 2.0, 3.0], "temp": 21.5, "wind": None, "note": None}
    ]


def test_a_field_that_is_gone_is_forgotten() -> None:
    """A later declaration with fewer fields reads what it has left."""
    layouts = Layouts(_project("wind = 'int32'"))

    rows = layouts.known("weather", [_row(BEFORE), None], _announced(BEFORE))

    assert _decoded(layouts, rows) == [{"wind": 7}, None]


def test_rows_of_today_are_not_touched() -> None:
    """The usual case: no layout is looked up, and the rows are the same bytes."""
    row = _row(BEFORE)

    known = Layouts(BEFORE).known("weather", [row, None, row], CommandFailed("not looked at"))

    assert known == [row, None, row]


def test_a_layout_is_remembered() -> None:
    """What was learnt once needs no announcement again."""
    layouts = Layouts(AFTER)
    layouts.known("weather", [_row(BEFORE)], _announced(BEFORE, AFTER))

    again = layouts.known("weather", [_row(BEFORE)])

    assert _decoded(layouts, again)[0]["station"] == "JFK é"  # type: ignore[index]


@pytest.mark.parametrize("row", [_row(BEFORE), b"", b"short", _row(BEFORE)[:-3]])
def test_a_row_that_nobody_can_read_has_nothing_in_it(row: bytes) -> None:
    """Without its layout a row falls under the policies for missing values, whatever its bytes are."""
    layouts = Layouts(_project("temp = 'float32'"))

    rows = layouts.known("weather", [row])

    assert _decoded(layouts, rows) == [{"temp": None}]


def test_an_announcement_that_is_damaged_is_not_believed() -> None:
    """Reading rows with a wrong layout would give wrong numbers."""
    with pytest.raises(StoreUnavailable, match="layout 7 of view 'weather' is damaged"):
        Layouts(AFTER).known("weather", [_row(BEFORE)], [b"7", orjson.dumps([["temp", "float32"]])])


def test_a_server_that_does_not_answer_is_no_reason_to_guess() -> None:
    """If the layouts cannot be read, neither can the rows."""
    with pytest.raises(StoreUnavailable, match="LOADING"):
        Layouts(AFTER).known("weather", [_row(BEFORE)], CommandFailed("LOADING Redis is loading"))


def test_layouts_are_asked_for_by_view() -> None:
    """One command for each view, in order."""
    assert layout_commands(["weather", "flight"]) == [("HGETALL", "s:{weather}"), ("HGETALL", "s:{flight}")]


def test_the_current_layout_is_the_declared_one() -> None:
    """What is packed now follows the project file."""
    assert Layouts(BEFORE).current("weather").view.fields[0] == Field("temp", "float32")
