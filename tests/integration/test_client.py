"""The Python client against a real edge: threads and event loops get the same typed answers and errors."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploy.local.redis_pair import RedisPair
from edge.client import Answer, AsyncClient, By, Client, Failure, KeyedBy, Patience, Unavailable, Unreachable, errors
from tests.edge_process import Edge, address, edge_process
from tests.edge_project import EdgeProject, direct, graph
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

#: An edge is back within that.
PATIENT = Patience(attempts=200, timeout_s=60.0)
HASTY = Patience(attempts=2)


class Awaited:
    """An `AsyncClient` for tests that are written once; each call runs the loop until it has ended."""

    def __init__(self, url: str, **more: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(url, **more)

    @property
    def retries(self) -> int:
        return self._client.retries

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *args, **more: self._runner.run(method(*args, **more))


Asker = Client | Awaited
Open = Callable[..., Asker]


@pytest.fixture(params=[Client, Awaited], ids=["blocking", "awaited"])
def opened(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens clients of one kind, and closes them."""
    with ExitStack() as stack:

        def opened(edge: Edge, **more: Any) -> Asker:
            client: Asker = request.param(address(edge.role), **more)
            stack.callback(client.close)
            return client

        yield opened


@pytest.fixture(scope="module")
def project(redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProject]:
    """The pair is everybody's, so this file empties it first."""
    directory = tmp_path_factory.mktemp("client")
    EdgeProject.publish(directory, redis_pair).store.call("FLUSHALL")
    found = EdgeProject.publish(directory, redis_pair)
    found.put_weather({"EWR": 3.0})
    found.put_flights(["F1", "F2", "F~203", "F9"], [1.0, 2.0, 3.0, 9.0])
    yield found
    found.store.close()


@pytest.fixture(scope="module")
def edge(project: EdgeProject) -> Iterator[Edge]:
    """One for all tests that leave it alone."""
    with edge_process(project.settings) as running:
        yield running


def expected(distance: float, hour: int = 12, variant: str = "default") -> np.float32:
    """What the model itself says."""
    found: np.float32 = direct(graph("late", variant), [[distance, 0.5, 3.0, hour]])[0]
    return found


class TestAnswers:
    def test_one_key_is_a_typed_answer(self, edge: Edge, opened: Open) -> None:
        """Its outputs, where it came from, how old it is; raw parts need no escaping."""
        client = opened(edge)

        first = client.predict("late", ("F 3", "EWR"), context={"hour": 7}, variant="fast")
        again = client.predict("late", "F~203:EWR?hour=7", variant="fast")

        assert np.float32(first.outputs["y"]) == expected(3.0, 7, "fast")
        assert first.key == "F~203:EWR?hour=7"
        assert again.tier == "memory"
        assert (again.prediction, again.stale, again.age_s >= first.age_s) == (first.prediction, False, True)
        assert client.retries == 0

    def test_several_keys_have_an_answer_or_a_failure_each(self, edge: Edge, opened: Open) -> None:
        """In their order; context of their own counts more than what is said for all."""
        named = {"origin": "EWR", "flight": "F2"}
        keys = ["F1:EWR", ("F2", "EWR"), KeyedBy(named, {"hour": 9}), "F1", ("nobody", "EWR")]

        found = opened(edge).predict_many("late", keys, context={"hour": 5})

        assert [type(one) for one in found] == [Answer, Answer, Answer, Failure, Failure]
        assert [np.float32(one.outputs["y"]) for one in found if isinstance(one, Answer)] == [
            expected(1.0, 5),
            expected(2.0, 5),
            expected(2.0, 9),
        ]
        assert [(one.status, one.problem.name) for one in found if isinstance(one, Failure)] == [
            (404, "invalid-key"),
            (422, "feature-missing"),
        ]

    def test_candidates_are_ranked(self, edge: Edge, opened: Open) -> None:
        """The best first, those that cannot be predicted named."""
        candidates = {"flight": ["F1", "nobody", "F2", "F 3"]}

        found = opened(edge).rank("late", candidates, key={"origin": "EWR"}, by=By(k=2, order="ascending"))

        scores = {name: expected(distance) for name, distance in (("F1", 1.0), ("F2", 2.0), ("F 3", 3.0))}
        assert [place.candidate["flight"] for place in found.ranked] == sorted(scores, key=lambda n: scores[n])[:2]
        assert [np.float32(place.score) for place in found.ranked] == sorted(scores.values())[:2]
        assert [(one.candidate, one.problem.name) for one in found.unranked] == [
            ({"flight": "nobody"}, "feature-missing")
        ]

    def test_models_and_reasons_are_told(self, edge: Edge, opened: Open) -> None:
        """What serves, and why a key would be answered as it would."""
        client = opened(edge)

        assert client.why("late", ("F1", "EWR"))["would_answer"] in ("memory", "replica", "live")
        assert {model.name for model in client.models()} == {"late", "patient", "guess", "unborn"}
        late = client.model("late")
        assert {variant.variant: variant.version for variant in late.variants} == {
            "default": 1,
            "fast": 2,
            "planned": None,
        }
        assert [version.version for version in late.versions] == [2, 1]

    def test_what_is_not_fresh_says_so(self, project: EdgeProject, edge: Edge, opened: Open) -> None:
        """Where the policy allows it."""
        client, distance = opened(edge), time.time_ns() % 1_000_000
        client.predict("patient", "F9")
        project.put_flights(["F9"], [float(distance)], event_ms=time.time_ns() // 1_000_000)

        answer = wait_until(lambda: _unless_tier(client.predict("patient", "F9"), "memory"))

        assert (answer.tier, answer.stale) == ("stale", True)


def _unless_tier(answer: Answer, tier: str) -> Answer | None:
    return None if answer.tier == tier else answer


class TestErrors:
    @pytest.mark.parametrize(
        ("ask", "kind"),
        [
            (lambda c: c.predict("nope", "a:b"), errors.UnknownModel),
            (lambda c: c.predict("late", "a"), errors.InvalidKey),
            (lambda c: c.predict("late", "F1:EWR", context={"hour": 24}), errors.InvalidContext),
            (lambda c: c.predict("late", "F1:EWR", variant="slow"), errors.InvalidRequest),
            (lambda c: c.predict("late", "nobody:EWR"), errors.FeatureMissing),
            (lambda c: c.predict("unborn", "EWR"), errors.NothingPublished),
            (lambda c: c.predict("late", "F1:EWR", deadline_s=1e-9), errors.BudgetExceeded),
            (lambda c: c.predict_many("late", []), errors.InvalidRequest),
            (lambda c: c.predict_many("late", ["x" * (1 << 20)]), errors.InvalidRequest),
            (lambda c: c.rank("late", {"flight": ["F1"]}), errors.InvalidKey),
            (lambda c: c.rank("late", {"flight": ["nobody"]}, key={"origin": "EWR"}), errors.FeatureMissing),
            (lambda c: c.why("late", "a"), errors.InvalidKey),
            (lambda c: c.model("nope"), errors.UnknownModel),
        ],
    )
    def test_each_problem_is_an_error_of_its_own(
        self, edge: Edge, opened: Open, ask: Callable[[Asker], object], kind: type[errors.ProblemError]
    ) -> None:
        """Told at once: none of them gets better by asking again."""
        client = opened(edge)

        with pytest.raises(kind) as caught:
            ask(client)

        assert type(caught.value) is kind
        assert client.retries == 0

    def test_headers_say_whose_request_it_is(self, edge: Edge, opened: Open) -> None:
        """With every request of a client, or with one; the edge reads them."""
        named, client = opened(edge, headers={"x-request-id": "mine"}), opened(edge)

        for asker, headers, told in ((named, None, "mine"), (client, {"x-request-id": "once"}, "once")):
            with pytest.raises(errors.InvalidKey) as caught:
                asker.predict("late", "a", headers=headers)
            assert caught.value.problem.request_id == told

    def test_a_missing_row_is_named(self, edge: Edge, opened: Open) -> None:
        """And an unknown model tells those that exist."""
        client = opened(edge)

        with pytest.raises(errors.FeatureMissing) as missing:
            client.predict("late", ("F1", "XXX"))
        with pytest.raises(errors.UnknownModel) as unknown:
            client.predict("nope", "x")

        assert (missing.value.problem.view, missing.value.problem.entity) == ("weather", "XXX")
        assert unknown.value.problem.models == ["guess", "late", "patient", "unborn"]
        assert unknown.value.problem.request_id


class TestFaults:
    def test_an_edge_that_is_not_there_is_unreachable(self, project: EdgeProject, opened: Open) -> None:
        """After the attempts that a client has patience for."""
        with edge_process(project.settings) as edge:
            client = opened(edge, patience=HASTY)
            edge.role.process.kill()
            edge.role.process.wait()

            with pytest.raises(Unreachable):
                client.predict("late", "F1:EWR")

        assert client.retries == 1

    def test_an_edge_that_was_killed_and_came_back_answers(
        self, project: EdgeProject, opened: Open, free_port: int
    ) -> None:
        """Whoever asks meanwhile waits, and whoever asks later does not notice that its connection is gone."""
        with edge_process(project.settings, port=free_port) as first:
            client = opened(first, patience=PATIENT)
            before = client.predict("late", "F1:EWR")
            first.role.process.kill()
            first.role.process.wait()
            with ThreadPoolExecutor() as threads:
                waiting = threads.submit(client.predict, "late", "F1:EWR")
                with edge_process(project.settings, port=free_port):
                    after = waiting.result(60.0)
                    later = client.predict("late", "F1:EWR")

        assert after.outputs == later.outputs == before.outputs
        assert client.retries > 0

    def test_a_connection_that_the_edge_has_hung_up_is_replaced(
        self, project: EdgeProject, opened: Open, free_port: int
    ) -> None:
        """A pool does not know until it asks; the answer comes all the same."""
        with edge_process(project.settings, port=free_port) as first:
            client = opened(first)
            client.predict("late", "F1:EWR")
            first.role.stop()
        with edge_process(project.settings, port=free_port):
            assert client.predict("late", "F1:EWR").outputs

    def test_who_is_told_to_come_back_comes_back(self, tmp_path: Path, own_redis_pair: RedisPair, opened: Open) -> None:
        """503 with Retry-After, while the replica stands still; then the answer."""
        project = EdgeProject.publish(tmp_path, own_redis_pair, redis_timeout_s=0.2, budget_ms=20_000.0)
        project.put_weather({"EWR": 3.0})
        project.put_flights(["F1"], [1.0])
        replica = own_redis_pair.replica.process
        with edge_process(project.settings) as edge, ThreadPoolExecutor() as threads:
            hasty, patient = opened(edge, patience=Patience(attempts=1)), opened(edge, patience=PATIENT)
            replica.send_signal(signal.SIGSTOP)
            try:
                with pytest.raises(Unavailable) as caught:
                    hasty.predict("late", "F1:EWR")
                waiting = threads.submit(patient.predict, "late", "F1:EWR")
                wait_until(lambda: edge.metric("nearcast_errors_total", model="late", status="503") >= 2)
            finally:
                replica.send_signal(signal.SIGCONT)
            answer = waiting.result(60.0)
        project.store.close()

        assert caught.value.retry_after_s == 1.0
        assert np.float32(answer.outputs["y"]) == expected(1.0)
        assert patient.retries > 0

    def test_a_deadline_is_told_to_the_edge(self, tmp_path: Path, own_redis_pair: RedisPair, opened: Open) -> None:
        """Which says itself that it cannot answer in that time, before the caller gives up."""
        project = EdgeProject.publish(tmp_path, own_redis_pair)
        replica = own_redis_pair.replica.process
        with edge_process(project.settings) as edge:
            client = opened(edge)
            replica.send_signal(signal.SIGSTOP)
            try:
                with pytest.raises(errors.BudgetExceeded) as caught:
                    client.predict("late", "F1:EWR", deadline_s=0.5)
            finally:
                replica.send_signal(signal.SIGCONT)
        project.store.close()

        assert caught.value.problem.request_id
        assert client.retries == 0


def test_threads_share_a_client(edge: Edge) -> None:
    """And its connections, of which there are never more than allowed."""
    with Client(address(edge.role), most_connections=2) as client, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda n: client.predict("late", "F1:EWR", context={"hour": n % 24}), range(200)))

    assert [np.float32(one.outputs["y"]) for one in found] == [expected(1.0, n % 24) for n in range(200)]


async def test_tasks_share_a_client(edge: Edge) -> None:
    """A hundred at once, on few connections."""
    async with AsyncClient(address(edge.role), most_connections=4) as client:
        asks = [client.predict("late", "F1:EWR", context={"hour": n % 24}) for n in range(100)]
        found = await asyncio.gather(*asks)

    assert [np.float32(one.outputs["y"]) for one in found] == [expected(1.0, n % 24) for n in range(100)]
