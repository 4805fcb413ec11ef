"""What a model file must be to be served; the registry itself needs a server and is tested with one."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from precompute.errors import ModelRejected, VersionMissing
from precompute.manifest import parse
from precompute.registry import MAX_MODEL_BYTES, Version, check, declared_inputs, load_commands, load_servable
from precompute.runtime import digest
from tests import onnx_models

PROJECT = parse("""
[project]
name = "p"
[views.user.fields]
x = "float32[30]"
age = "int64"
vip = "bool"
photo = "uint8[28,28]"
name = "string"
[models.score]
key = ["user"]
[models.score.context]
hour = "int64"
[models.score.inputs]
x = ["user.x", "user.age", "context.hour"]
[models.other]
key = ["user"]
[models.other.context]
share = "float64"
[models.other.inputs]
numbers = ["user.vip", "user.age"]
mixed = ["user.x", "context.share"]
photo = "user.photo"
flat = ["user.photo"]
name = "user.name"
hour = "context.share"
""")
MLP = onnx_models.mlp()


def _record(content: bytes) -> bytes:
    return msgspec.json.encode(Version(7, "default", digest(content), len(content), 1))


def test_what_would_be_fed_has_type_and_shape() -> None:
    """Stacked features have the widest of their types and one axis, a lone feature keeps its own shape."""
    assert declared_inputs(PROJECT, PROJECT.model("other")) == {
        "numbers": ("int64", (2,)),
        "mixed": ("float64", (31,)),
        "photo": ("uint8", (28, 28)),
        "flat": ("uint8", (784,)),
        "name": ("string", ()),
        "hour": ("float64", ()),
    }


def test_a_fitting_file_tells_how_answers_will_look() -> None:
    """Without declared outputs, every output of the file under its own name."""
    rules = check(PROJECT, PROJECT.model("score"), "default", MLP)

    assert [(rule.name, rule.source, rule.transform) for rule in rules] == [("y", "y", "identity")]


def test_a_file_that_does_not_fit_shows_both_sides() -> None:
    """All differences at once, with what the manifest feeds and what the model takes."""
    with pytest.raises(ModelRejected) as caught:
        check(PROJECT, PROJECT.model("other"), "default", MLP)

    text = str(caught.value)
    assert "does not fit model 'other'" in text
    assert "float32[N, 32]" in text
    assert "uint8[N, 28, 28]" in text


@pytest.mark.parametrize("content", [b"", b"not a model", MLP[: len(MLP) // 2]])
def test_a_broken_file_is_refused(content: bytes) -> None:
    """Empty, foreign and truncated files are one line, not a traceback of the runtime."""
    with pytest.raises(ModelRejected) as caught:
        check(PROJECT, PROJECT.model("score"), "default", content)

    assert "\n" not in str(caught.value)


def test_a_variant_must_be_declared() -> None:
    """A file is published as one of the model's variants; the message lists them."""
    with pytest.raises(ModelRejected, match="no variant 'best'; declared: default"):
        check(PROJECT, PROJECT.model("score"), "best", MLP)


def test_a_file_larger_than_a_value_is_refused() -> None:
    """Before anything is loaded from it."""
    with pytest.raises(ModelRejected, match="the limit is 268,435,456"):
        check(PROJECT, PROJECT.model("score"), "default", bytes(MAX_MODEL_BYTES + 1))


def test_a_stored_version_becomes_servable() -> None:
    """Record and file together are all that serving needs."""
    servable = load_servable(PROJECT, "score", _record(MLP), MLP)

    assert (servable.model.name, servable.variant, servable.version) == ("score", "default", 7)
    assert load_commands("score", 7, digest(MLP)) == [
        ("HGET", "model:score:versions", 7),
        ("GET", f"model:blob:{digest(MLP)}"),
    ]


def test_a_file_with_another_content_is_never_served() -> None:
    """The bytes must have the SHA-256 of the publish, even if they are a good model."""
    with pytest.raises(ModelRejected, match="does not have its SHA-256"):
        load_servable(PROJECT, "score", _record(MLP), onnx_models.mlp(seed=1))


def test_a_model_that_refuses_made_up_rows_can_be_served(caplog: pytest.LogCaptureFixture) -> None:
    """An encoder that knows only its categories, as scikit-learn exports them, fails on empty strings and on nothing
    else: that it cannot be warmed up is said, and no reason to refuse it."""
    project = parse(
        "[project]\nname='p'\n[views.flight.fields]\ncarrier='string'\n"
        "[models.code]\nkey=['flight']\ninputs={carrier='flight.carrier'}\n"
    )
    picky = onnx_models.strict_one_hot()

    check(project, project.model("code"), "default", picky)
    servable = load_servable(project, "code", _record(picky), picky)

    hot = servable.session.run({"carrier": np.array(["DL"], object)})["hot"]
    assert np.asarray(hot).tolist() == [[0.0, 1.0]]
    assert "model 'code' is not warmed up" in caplog.text


@pytest.mark.parametrize(("record", "blob"), [(None, MLP), (_record(MLP), None)])
def test_a_version_without_record_or_file_is_missing(record: bytes | None, blob: bytes | None) -> None:
    """A Redis that was emptied has nothing to serve, and says so."""
    with pytest.raises(VersionMissing, match="not in this Redis"):
        load_servable(PROJECT, "score", record, blob)
