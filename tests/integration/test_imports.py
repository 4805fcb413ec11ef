"""Importing files into a real Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy.local.redis_pair import RedisPair
from precompute.columns import Wanted
from precompute.features import Features
from precompute.imports import ImportResult, RejectsFile, import_rows, read_rows
from precompute.keys import log_key
from precompute.row_batches import BATCH_ROWS
from precompute.store import Store
from tests.small_project import small_project

pytestmark = pytest.mark.integration

PROJECT = small_project()


@pytest.fixture
def store(clean_redis: RedisPair) -> Iterator[Store]:
    """The emptied primary."""
    opened = Store(clean_redis.primary_url)
    yield opened
    opened.close()


def load(store: Store, path: Path) -> ImportResult:
    """Imports a file; rejects go to `rejects` beside it."""
    rows = read_rows(path, Wanted(PROJECT.view("thing"), "entity", None, now_ms=5_000))
    with RejectsFile(path.parent / "rejects") as rejects:
        return import_rows(Features(store, PROJECT), "thing", rows, rejects)


def test_the_same_rows_come_out_of_every_format(store: Store, tmp_path: Path) -> None:
    """Imported over one another they change nothing."""
    rows = [{"entity": f"e{i}", "event_time": 1000 + i, "v": [i / 2, 1.0], "count": i, "label": "x"} for i in range(50)]
    lines = [f"{r['entity']},{r['event_time']},{r['v'][0]};1.0,{r['count']},x" for r in rows]
    (tmp_path / "f.csv").write_text("entity,event_time,v,count,label\n" + "\n".join(lines))
    (tmp_path / "f.ndjson").write_text("\n".join(map(json.dumps, rows)))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "f.parquet")

    first, second, third = (load(store, tmp_path / f"f.{suffix}") for suffix in ("csv", "ndjson", "parquet"))

    assert (first.put.written, first.rejected) == (50, 0)
    assert second.put.unchanged == third.put.unchanged == 50
    row = Features(store, PROJECT).get("thing", ["e3"])[0]
    assert row is not None
    assert row.values == {"v": [1.5, 1.0], "temp": None, "count": 3, "label": "x"}
    assert row.stamp.event_ms == 1_003_000


def test_an_older_file_does_not_overwrite_newer_rows(store: Store, tmp_path: Path) -> None:
    """Its rows are counted as late, and nothing is logged for them."""
    (tmp_path / "new.csv").write_text("entity,event_time,v\na,2000,1;2\n")
    (tmp_path / "old.csv").write_text("entity,event_time,v\na,1000,3;4\n")
    load(store, tmp_path / "new.csv")

    result = load(store, tmp_path / "old.csv")

    assert result.put.late == 1
    assert store.call("XLEN", log_key("thing")) == 1


def test_bad_rows_are_set_aside_wherever_they_are_found(store: Store, tmp_path: Path) -> None:
    """By the reader or by the store, over many batches; all others are stored."""
    good = [f"e{i},1;2,1" for i in range(BATCH_ROWS * 2)]
    lines = ["entity,v,count", *good[:10], "x,1;nope,1", *good[10:], "y,1;2;3,1", "z,1;2,1e30", "b:d,1;2,1", ",1;2,1"]
    (tmp_path / "f.csv").write_bytes("\n".join(lines).encode() + b"\n\xff,1;2,1\n")

    result = load(store, tmp_path / "f.csv")

    rejects = [json.loads(line) for line in (tmp_path / "rejects").read_text().splitlines()]
    end = len(good)
    assert result.put.written == len(good) + 1
    assert [reject["number"] for reject in rejects] == [12, end + 3, end + 4, end + 6, end + 7]
    assert ["nope" in rejects[0]["reason"], "shape [3]" in rejects[1]["reason"]] == [True, True]
    assert Features(store, PROJECT).get("thing", ["b~3Ad"])[0] is not None


def test_many_rows_are_stored_each_with_its_log_record(store: Store, tmp_path: Path) -> None:
    """More than fit into one batch, in the order of the file where an entity comes twice."""
    lines = [f"e{i % 4000},{i // 4000};{i}" for i in range(9000)]
    (tmp_path / "f.csv").write_text("entity,v\n" + "\n".join(lines))

    result = load(store, tmp_path / "f.csv")

    assert (result.rows, result.put.written) == (9000, 9000)
    assert store.call("XLEN", log_key("thing")) == 9000
    row = Features(store, PROJECT).get("thing", ["e7"])[0]
    assert row is not None
    assert row.values["v"] == [2.0, 8007.0]
