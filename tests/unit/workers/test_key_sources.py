"""What a source of keys is called and how it is written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.key_sources import (
    AllKeys,
    DependentKeys,
    GivenKeys,
    HotKeys,
    KeysFile,
    Source,
    StoredKeys,
    source_data,
    source_of,
)


def test_sources_have_names_for_people() -> None:
    """As a list of jobs shows them."""
    assert str(KeysFile(Path("hot.txt"))) == "file hot.txt"
    assert str(GivenKeys(["a"] * 1200)) == "1,200 given"


@pytest.mark.parametrize(
    "source",
    [AllKeys(), HotKeys(5), KeysFile(Path("/x/keys")), DependentKeys("weather", "EWR"), StoredKeys("job", "keys.txt")],
    ids=lambda source: type(source).__name__,
)
def test_a_source_is_found_again_in_its_data(source: Source) -> None:
    """So that the keys of a job can be listed by somebody else."""
    assert source_of(source_data(source)) == source


def test_a_relative_path_begins_where_the_project_file_is() -> None:
    """For a person it begins where he stands; an absolute one stays what it is."""
    assert source_of({"keys": "keys.txt"}, Path("/project")) == KeysFile(Path("/project/keys.txt"))
    assert source_of({"keys": "/else/keys.txt"}, Path("/project")) == KeysFile(Path("/else/keys.txt"))
    assert source_data(KeysFile(Path("keys.txt"))) == {"keys": str(Path.cwd() / "keys.txt")}
    assert source_data(GivenKeys(["a"])) == {}
