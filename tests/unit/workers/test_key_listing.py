"""The keys of a source, of files above all."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from precompute.job_record import Failure
from precompute.store import Store
from tests.unit.workers.models import PROJECT
from workers.errors import JobRefused
from workers.key_listing import list_keys
from workers.key_sources import AllKeys, GivenKeys, KeysFile, Source
from workers.keys_file import MAX_LINE_BYTES, PAGE, Listed

NO_STORE = cast(Store, None)


def listed(source: Source, model: str = "late") -> list[Listed]:
    """Everything a source lists."""
    return [key for page in list_keys(source, NO_STORE, PROJECT, PROJECT.model(model)) for key in page]


def test_a_file_has_a_key_on_each_line(tmp_path: Path) -> None:
    """Blank lines and comments are skipped, line ends of any system and a missing last one are fine."""
    path = tmp_path / "keys"
    path.write_bytes(b"# hot flights\nUA1:EWR\r\n\n  UA2:JFK \nUA3:LGA?hour=3")

    assert listed(KeysFile(path)) == ["UA1:EWR", "UA2:JFK", "UA3:LGA?hour=3"]


def test_lines_that_cannot_be_keys_are_named(tmp_path: Path) -> None:
    """By number, and at no cost to the lines around them."""
    path = tmp_path / "keys"
    path.write_bytes(b"a:b\n\xff\xfe\n" + b"x" * (3 * MAX_LINE_BYTES + 5) + b"\nc:d\n")

    assert listed(KeysFile(path)) == [
        "a:b",
        Failure("line 2", "is not UTF-8"),
        Failure("line 3", f"is longer than {MAX_LINE_BYTES} bytes"),
        "c:d",
    ]


def test_a_file_is_read_page_by_page(tmp_path: Path) -> None:
    """A list larger than memory would do."""
    path = tmp_path / "keys"
    path.write_text("".join(f"k{i}:x\n" for i in range(2 * PAGE + 1)))

    pages = [len(page) for page in list_keys(KeysFile(path), NO_STORE, PROJECT, PROJECT.model("late"))]

    assert pages == [PAGE, PAGE, 1]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """With its name and the system's reason."""
    with pytest.raises(JobRefused, match=r"nothing.*No such file"):
        listed(KeysFile(tmp_path / "nothing"))


def test_given_keys_are_taken_as_they_are() -> None:
    """The worker judges them."""
    assert listed(GivenKeys(["a:b", "x y"])) == ["a:b", "x y"]


def test_a_model_must_say_where_all_its_keys_are() -> None:
    """The refusal says what to add to the project."""
    model = PROJECT.model("late")
    without = type(model)(
        name="late", key=model.key, dependencies=(), inputs=(), variants={}, default_variant="default"
    )

    with pytest.raises(JobRefused, match=r"add all_keys to \[models.late\]"):
        list_keys(AllKeys(), NO_STORE, PROJECT, without)
