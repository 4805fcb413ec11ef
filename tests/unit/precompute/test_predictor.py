"""Keys in, predictions out, with nothing but a list of replies in between."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import orjson
import pytest

from precompute.entry import decode, identity
from precompute.errors import FeatureMissing, PermanentError, StoreUnavailable
from precompute.layouts import Layouts
from precompute.manifest import Project, parse
from precompute.models import Key
from precompute.predictor import READ_ROWS, Batch, Plan, Predictor, Servable
from precompute.registry import load_servable
from precompute.rows import STAMP, Layout
from precompute.runtime import digest
from precompute.store import CommandFailed
from tests import onnx_models

PROJECT = parse("""
[project]
name = "p"
[views.user.fields]
x = "float32[20]"
[views.shop.fields]
y = "float32[12]"
[models.score]
key = ["user", "shop"]
inputs = { x = ["user.x", "shop.y"] }
[models.score.outputs]
p = { from = "y" }
[models.code]
key = ["flight"]
inputs = { carrier = ["flight.carrier"] }
[views.flight.fields]
carrier = "string"
""")
MLP = onnx_models.mlp()
RNG = np.random.default_rng(3)
NOW_MS = 1_700_000_000_000


def _servable(project: Project, model: str, content: bytes) -> Servable:
    record = {"version": 4, "variant": "default", "sha256": digest(content), "size": len(content), "published_ms": 1}
    return load_servable(project, model, orjson.dumps(record), content)


SCORE = _servable(PROJECT, "score", MLP)


class Replies:
    """What a server with these rows would answer to the commands of a plan."""

    def __init__(self, project: Project = PROJECT) -> None:
        self.layouts = {name: Layout(view) for name, view in project.views.items()}
        self.rows: dict[str, bytes] = {}

    def put(self, view: str, entity: str, **values: Any) -> None:
        self.rows[f"f:{{{view}}}:{entity}"] = STAMP.pack(1, 2, 3) + self.layouts[view].encode(values)

    def to(self, plan: Plan) -> list[Any]:
        return [self._reply(command) for command in plan.commands]

    def _reply(self, command: tuple[Any, ...]) -> Any:
        match command[0]:
            case "INFO":
                return b"role:master\r\nmaster_replid:0000002a99\r\n"
            case "XINFO" if command[2] == "u:{user}":
                entry = [b"5-0", [b"e", b"u0"]]
                return [b"length", 1, b"last-generated-id", b"1700000000000-3", b"first-entry", entry]
            case "XINFO":
                return CommandFailed("ERR no such key")
            case "MGET":
                return [self.rows.get(key) for key in command[1:]]
            case "HGETALL":
                layout = self.layouts[command[1][3:-1]]
                fields = [[f.name, str(f)] for f in layout.view.fields]
                return [str(layout.id).encode(), orjson.dumps(fields)]
        raise AssertionError(command)


def _world(users: int, shops: int) -> tuple[Replies, np.ndarray, np.ndarray]:
    replies = Replies()
    x, y = RNG.normal(size=(users, 20)).astype(np.float32), RNG.normal(size=(shops, 12)).astype(np.float32)
    for i, row in enumerate(x):
        replies.put("user", f"u{i}", x=row)
    for i, row in enumerate(y):
        replies.put("shop", f"s{i}", y=row)
    return replies, x, y


def _keys(*texts: str) -> list[Key]:
    return [PROJECT.model("score").parse_key(text) for text in texts]


def _predict(predictor: Predictor, replies: Replies, keys: list[Key]) -> Batch:
    plan = predictor.plan(keys)
    return predictor.complete(plan, replies.to(plan), NOW_MS)


def _outputs(batch: Batch) -> list[Any]:
    return [orjson.loads(body)["outputs"] for body in batch.bodies if isinstance(body, bytes)]


def test_predictions_equal_a_direct_run_bit_for_bit() -> None:
    """Through rows, policies, shared entities and JSON, the numbers are those of ONNX Runtime on the same rows."""
    replies, x, y = _world(users=50, shops=7)
    pairs = [(int(u), int(s)) for u, s in zip(RNG.integers(0, 50, 400), RNG.integers(0, 7, 400), strict=True)]
    direct = onnxruntime.InferenceSession(MLP)
    rows = np.array([np.concatenate((x[u], y[s])) for u, s in pairs])

    batch = _predict(Predictor(PROJECT, SCORE, Layouts(PROJECT)), replies, _keys(*(f"u{u}:s{s}" for u, s in pairs)))

    served = np.array([answer["p"] for answer in _outputs(batch)], np.float32)
    assert served.tobytes() == direct.run(["y"], {"x": rows})[0].reshape(-1).tobytes()


def test_the_plan_reads_the_logs_first_and_the_layouts_last() -> None:
    """A change that slips in makes a prediction look older; a row is never met before its layout."""
    plan = Predictor(PROJECT, SCORE, Layouts(PROJECT)).plan(_keys("u1:s1", "u2:s1", "u1:s2"))

    assert plan.commands == [
        ("INFO", "replication"),
        ("XINFO", "STREAM", "u:{user}"),
        ("XINFO", "STREAM", "u:{shop}"),
        ("XINFO", "STREAM", "u:{!}"),
        ("MGET", "f:{user}:u1", "f:{user}:u2", "f:{shop}:s1", "f:{shop}:s2"),
        ("HGETALL", "s:{user}"),
        ("HGETALL", "s:{shop}"),
        ("INFO", "replication"),
    ]


def test_rows_of_another_history_than_the_ids_are_refused() -> None:
    """The server was promoted, or copied another one, while it was being read; trying again helps."""
    replies, _, _ = _world(1, 1)
    predictor = Predictor(PROJECT, SCORE, Layouts(PROJECT))
    plan = predictor.plan(_keys("u0:s0"))
    said = replies.to(plan)
    said[-1] = b"role:master\r\nmaster_replid:0000002bff\r\n"

    with pytest.raises(StoreUnavailable, match="history changed"):
        predictor.complete(plan, said, NOW_MS)


def test_one_read_is_bounded() -> None:
    """More rows than one command may hold up the server with are read in several."""
    keys = _keys(*(f"u{i}:s0" for i in range(READ_ROWS + 5)))

    plan = Predictor(PROJECT, SCORE, Layouts(PROJECT)).plan(keys)

    sizes = [len(command) - 1 for command in plan.commands if command[0] == "MGET"]
    assert sizes == [READ_ROWS, 6]


def test_an_answer_names_what_it_is_and_what_it_knows() -> None:
    """The body has identity, outputs and times; the entry has what decides about freshness."""
    replies, _, _ = _world(1, 1)

    batch = _predict(Predictor(PROJECT, SCORE, Layouts(PROJECT)), replies, _keys("u0:s0"))

    answer = orjson.loads(batch.entry(0).body)
    assert answer == {
        "model": "score",
        "version": 4,
        "variant": "default",
        "key": "u0:s0",
        "outputs": {"p": answer["outputs"]["p"]},
        "as_of": "2023-11-14T22:13:20.000Z",
        "computed_at": "2023-11-14T22:13:20.000Z",
    }
    stored = batch.header + batch.entry(0).body
    assert decode(stored, identity("score", 4, "default", "u0:s0")) == batch.entry(0)
    assert (batch.as_of.epoch, batch.as_of.ids) == (0x2A, ((NOW_MS << 20) | 3, 0, 0))


def test_a_key_without_its_rows_costs_no_other_key() -> None:
    """The error stands in the key's place, order is kept."""
    replies, _, _ = _world(2, 1)

    batch = _predict(Predictor(PROJECT, SCORE, Layouts(PROJECT)), replies, _keys("u0:s0", "gone:s0", "u1:s0"))

    assert [isinstance(body, bytes) for body in batch.bodies] == [True, False, True]
    with pytest.raises(FeatureMissing, match="no row for user 'gone'"):
        batch.entry(1)
    assert orjson.loads(batch.entry(2).body)["key"] == "u1:s0"


def test_nothing_to_compute_is_no_failure() -> None:
    """No keys, or none with rows: an empty run, not an error of the model."""
    predictor = Predictor(PROJECT, SCORE, Layouts(PROJECT))

    assert _predict(predictor, Replies(), []).bodies == []
    assert [type(body) for body in _predict(predictor, Replies(), _keys("a:b", "c:d")).bodies] == [FeatureMissing] * 2


def test_a_row_that_the_model_refuses_costs_no_other_row() -> None:
    """A model may fail for one row of a batch: the others are answered, the one says why."""
    project = parse("""
[project]
name = "p"
[views.flight.fields]
carrier = "string"
[models.code]
key = ["flight"]
inputs = { carrier = "flight.carrier" }
""")
    refusing = onnx_models.strict_one_hot()
    replies = Replies(project)
    carriers = ["UA", "DL", "XX", "UA", "DL", "YY", "UA"]
    for i, carrier in enumerate(carriers):
        replies.put("flight", f"f{i}", carrier=carrier)
    predictor = Predictor(project, _servable(project, "code", refusing), Layouts(project))

    batch = _predict(predictor, replies, [project.model("code").parse_key(f"f{i}") for i in range(len(carriers))])

    failed = [i for i, body in enumerate(batch.bodies) if isinstance(body, PermanentError)]
    assert failed == [2, 5]
    assert [answer["hot"] for answer in _outputs(batch)] == [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]


def test_texts_reach_the_model() -> None:
    """String features are fed as strings."""
    replies = Replies()
    for i, carrier in enumerate(["AA", "UA", "??"]):
        replies.put("flight", f"f{i}", carrier=carrier)
    predictor = Predictor(PROJECT, _servable(PROJECT, "code", onnx_models.text_lookup()), Layouts(PROJECT))

    batch = _predict(predictor, replies, [PROJECT.model("code").parse_key(f"f{i}") for i in range(3)])

    assert [answer["code"] for answer in _outputs(batch)] == [2, 0, -1]


def test_rows_of_an_earlier_declaration_are_translated() -> None:
    """The plan brings the layouts along, so that nobody has to have learnt them."""
    earlier = parse(
        "[project]\nname='p'\n[views.user.fields]\nold='int64'\nx='float32[20]'\n[views.shop.fields]\ny='float32[12]'"
    )
    replies, x, y = _world(1, 1)
    before = Replies(earlier)
    before.put("user", "u0", old=1, x=x[0])
    before.put("shop", "s0", y=y[0])

    old = _predict(Predictor(PROJECT, SCORE, Layouts(PROJECT)), before, _keys("u0:s0"))

    assert _outputs(old) == _outputs(_predict(Predictor(PROJECT, SCORE, Layouts(PROJECT)), replies, _keys("u0:s0")))


@pytest.mark.parametrize("position", [0, 1, 3])
def test_a_server_that_answers_with_errors_is_unavailable(position: int) -> None:
    """An error in place of the logs or the rows is no missing feature: nothing is computed from it."""
    replies, _, _ = _world(1, 1)
    predictor = Predictor(PROJECT, SCORE, Layouts(PROJECT))
    plan = predictor.plan(_keys("u0:s0"))
    answers = replies.to(plan)
    answers[position] = CommandFailed("LOADING Redis is loading the dataset in memory")

    with pytest.raises(StoreUnavailable, match="LOADING"):
        predictor.complete(plan, answers, NOW_MS)
