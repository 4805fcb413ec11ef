"""Settings come from the environment, then from the command line, and mistakes name the variable."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from precompute.errors import ConfigError
from precompute.settings import Settings, from_environment


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine that runs the tests."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"NEARCAST_{name.upper()}", raising=False)


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting is a variable."""
    monkeypatch.setenv("NEARCAST_PORT", "0")
    monkeypatch.setenv("NEARCAST_PRIMARY_URL", "redis://core:6379/3")

    settings = from_environment()

    assert (settings.port, settings.primary_url, settings.host) == (0, "redis://core:6379/3", "127.0.0.1")


def test_what_the_command_line_says_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options stand above variables, options that were not given do not."""
    monkeypatch.setenv("NEARCAST_PORT", "9000")
    monkeypatch.setenv("NEARCAST_HOST", "0.0.0.0")  # noqa: S104

    settings = from_environment(port=1, host=None)

    assert (settings.port, settings.host) == (1, "0.0.0.0")  # noqa: S104


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("BUDGET_MS", "0"),
        ("BUDGET_MS", "inf"),
        ("BUDGET_MS", "nan"),
        ("MEMORY_MAX_BYTES", "-1"),
        ("WARM_KEYS", "1.5"),
    ],
)
def test_a_mistake_names_the_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """One line with the variable and its value."""
    monkeypatch.setenv(f"NEARCAST_{name}", value)

    with pytest.raises(ConfigError, match=f"NEARCAST_{name}: .*{value}") as caught:
        from_environment()

    assert "\n" not in str(caught.value)


def test_an_edge_reads_near_and_falls_back_to_the_primary() -> None:
    """Without a replica, also if its variable is empty, reads go to the primary."""
    assert Settings(replica_url="redis://near:1/0").read_url == "redis://near:1/0"
    assert Settings(replica_url="").read_url == Settings().primary_url


@pytest.mark.parametrize(
    ("primary", "queue"),
    [
        ("redis://core:6379/0", "redis://core:6379/1"),
        ("redis://core:6379", "redis://core:6379/1"),
        ("redis://core:6379/", "redis://core:6379/1"),
        ("rediss://user:secret@core/0", "rediss://user:secret@core/1"),
    ],
)
def test_the_queue_is_beside_the_data(primary: str, queue: str) -> None:
    """Celery's messages go to database 1 of the primary, unless a broker is named."""
    assert Settings(primary_url=primary).queue_url == queue
    assert Settings(primary_url=primary, broker_url="amqp://x").queue_url == "amqp://x"


def test_a_secret_is_not_printed() -> None:
    """Settings may be logged."""
    settings = Settings(admin_token="open sesame")  # type: ignore[arg-type]

    assert "sesame" not in f"{settings!r} {settings}"


def test_settings_do_not_change() -> None:
    """They are read once and passed on."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1
