"""What failures look like from outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.cli.run import one_line, run
from precompute import manifest
from precompute.errors import ModelRejected, StoreUnavailable
from precompute.store import Store
from tests.small_project import TEXT

Captured = pytest.CaptureFixture[str]

NOBODY = "redis://127.0.0.1:1/0"


def test_an_error_is_one_line_and_no_traceback(tmp_path: Path, capsys: Captured) -> None:
    """Status 1 says that the command line was right and something else was not."""
    (tmp_path / "nearcast.toml").write_text(TEXT)

    status = run(["features", "get", "thing", "a", "--project", str(tmp_path / "nearcast.toml"), "--primary", NOBODY])

    out, err = capsys.readouterr()
    assert (status, out) == (1, "")
    assert err.startswith("nearcast: Redis at redis://127.0.0.1:1/0 is unavailable")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["features", "gett"], "No such command 'gett'"),
        (["features", "get", "thing"], "Missing argument 'ENTITY'"),
        (["--nonsense"], "No such option: --nonsense"),
        (["up", "--port", "many"], "Invalid value for '--port'"),
        (["jobs", "run", "score", "--all", "--hot", "3"], "say which keys once: --all, --keys FILE, --hot N"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_says_where_help_is(
    arguments: list[str], complaint: str, capsys: Captured
) -> None:
    """Status 2, as everywhere."""
    status = run(arguments)

    err = capsys.readouterr().err
    assert status == 2
    assert err.startswith(f"nearcast: {complaint}")
    assert "--help" in err
    assert err.count("\n") == 1


def test_a_missing_project_file_says_how_to_name_one(tmp_path: Path, capsys: Captured) -> None:
    """The first thing a newcomer meets."""
    status = run(["check", "--project", str(tmp_path / "none.toml")])

    assert status == 2
    assert "No such file or directory; name the project file with --project" in capsys.readouterr().err


def test_a_wrong_environment_variable_is_named(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """Status 2: nothing has been started."""
    monkeypatch.setenv("NEARCAST_PORT", "many")

    status = run(["model", "list"])

    assert status == 2
    assert capsys.readouterr().err.startswith("nearcast: NEARCAST_PORT: ")


def test_a_redis_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """Before anything is done with it; the line says which version would do."""
    (tmp_path / "nearcast.toml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Store, "call", lambda *_: b"redis_version:5.0.7\r\n")

    status = run(["features", "delete", "thing", "a", "--primary", "redis://127.0.0.1:1/0"])

    assert status == 2
    assert capsys.readouterr().err == (
        "nearcast: Redis at redis://127.0.0.1:1/0 is 5.0.7; nearcast needs 6.2 or newer\n"
    )


def test_ctrl_c_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """130 is what shells expect of it."""

    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(manifest, "load", interrupted)

    status = run(["check"])

    assert (status, capsys.readouterr().err) == (130, "")


def test_errors_are_raised_for_whoever_debugs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the traceback that others are spared."""
    monkeypatch.setenv("NEARCAST_DEBUG", "1")

    with pytest.raises(StoreUnavailable):
        run(["get", "score", "a", "--edge", "http://127.0.0.1:1"])


def test_a_reader_that_leaves_early_is_no_error() -> None:
    """`nearcast ... | head` must not end in a traceback."""
    command = f"{sys.executable} -m deploy.cli --help | true; {sys.executable} -m deploy.cli --version | head -c 0"

    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=True)  # noqa: S602

    assert done.stderr == ""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ModelRejected("does not fit:\n  input 'x'\n  output 'y'"), "does not fit: input 'x'; output 'y'"),
        (StoreUnavailable("away"), "away"),
        (StoreUnavailable(), "StoreUnavailable"),
        (FileNotFoundError(2, "No such file", "a.csv"), "a.csv: No such file"),
    ],
)
def test_every_error_fits_on_one_line(error: Exception, line: str) -> None:
    """Also those that list several things."""
    assert isinstance(error, ModelRejected | StoreUnavailable | OSError)

    assert one_line(error) == line


def test_help_imports_nothing_heavy() -> None:
    """A command line that thinks before it helps is not asked again."""
    heavy = {"numpy", "onnxruntime", "celery", "pyarrow", "redis", "pydantic_settings", "starlette", "rich.progress"}
    program = (
        "import sys\nfrom deploy.cli.run import run\n"
        f"run(['features', '--help'])\nprint(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stderr == "[]\n"
