"""What every kind of test may use: a real Redis pair, and no silent skips."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from deploy.local.ports import free_port as find_free_port
from deploy.local.redis_pair import RedisPair
from deploy.local.redis_probe import ask

_REPLICATED_WITHIN_S = 10


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails, unless it is marked `optional`")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "optional: may be skipped where its tool is missing")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not item.get_closest_marker("optional"):
        _refuse_skip(item.config, report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(collector.config, report)
    return report


def _refuse_skip(config: pytest.Config, report: pytest.TestReport | pytest.CollectReport) -> None:
    expected_failure = hasattr(report, "wasxfail")
    if config.getoption("--no-skips") and report.skipped and not expected_failure:
        report.outcome = "failed"
        report.longrepr = f"must run, but was skipped: {report.longrepr}"


@pytest.fixture(scope="session")
def redis_pair() -> Iterator[RedisPair]:
    """A real primary and its replica, one pair for the whole run."""
    with RedisPair.start(None, persist=False) as pair:
        yield pair


@pytest.fixture
def clean_redis(redis_pair: RedisPair) -> RedisPair:
    """The pair, emptied, on both sides."""
    # One connection for both: WAIT is about what its own connection has written.
    answer = ask(
        redis_pair.primary.port,
        f"FLUSHALL\r\nWAIT 1 {_REPLICATED_WITHIN_S * 1000}",
        timeout_s=_REPLICATED_WITHIN_S + 1,
    )
    assert answer.split() == ["+OK", ":1"]
    return redis_pair


@pytest.fixture
def own_redis_pair() -> Iterator[RedisPair]:
    """A pair of the test's own, to kill and freeze."""
    with RedisPair.start(None, persist=False) as pair:
        yield pair


@pytest.fixture
def free_port() -> int:
    """A port of loopback that nobody listens on."""
    return find_free_port()
