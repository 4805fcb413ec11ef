"""What models say of themselves."""

from __future__ import annotations

from dataclasses import replace

from edge.api.oip.metadata import model_config, model_metadata
from edge.api.oip.shapes import TensorMetadata
from precompute.outputs import OutputRule, default_rules
from precompute.predictor import Servable
from precompute.runtime import Session
from tests import onnx_models
from tests.unit.edge.rig import Rig


def servable(model: bytes, *rules: OutputRule) -> Servable:
    """A model file in service."""
    session = Session.load(model)
    return replace(Rig().servable, session=session, rules=rules or default_rules(session.signature))


IMAGE = servable(onnx_models.image())
SHARED = servable(onnx_models.shared_scalar())
TEXT = servable(onnx_models.text_echo())
LABELLED = servable(onnx_models.image(), OutputRule("digit", "scores", labels=tuple("0123456789")))


def test_tensors_have_the_protocol_s_types_and_open_batches() -> None:
    """Scalars that hold for all rows have no size at all."""
    image, shared = model_metadata(IMAGE, [1, 3]), model_metadata(SHARED, [1])

    assert image.versions == ["1", "3"]
    assert image.inputs == [TensorMetadata("img", "UINT8", [-1, 28, 28])]
    assert [(o.name, o.datatype, o.shape) for o in image.outputs] == [
        ("scores", "FP32", [-1, 10]),
        ("brightness", "FP32", [-1]),
        ("mask", "BOOL", [-1, 28, 28]),
    ]
    assert [tensor.shape for tensor in (*shared.inputs, *shared.outputs)] == [[-1, 3], [], [-1, 3], []]


def test_labels_say_what_values_are() -> None:
    """As a JSON list, since a parameter is a single value."""
    (output,) = model_metadata(LABELLED, [1]).outputs

    assert output.parameters == {"labels": '["0","1","2","3","4","5","6","7","8","9"]'}


def test_dims_leave_the_batch_out_where_the_whole_model_is_batched() -> None:
    """Where a row is a single value, Triton says so by a reshape."""
    image, text, shared = (model_config(each, 100) for each in (IMAGE, TEXT, SHARED))

    assert (image["max_batch_size"], shared["max_batch_size"]) == (100, 0)
    assert image["input"] == [{"name": "img", "data_type": "TYPE_UINT8", "dims": [28, 28]}]
    assert text["input"] == [{"name": "s", "data_type": "TYPE_STRING", "dims": [1], "reshape": {"shape": []}}]
    assert shared["input"] == [
        {"name": "x", "data_type": "TYPE_FP32", "dims": [-1, 3]},
        {"name": "scale", "data_type": "TYPE_FP32", "dims": [1], "reshape": {"shape": []}},
    ]
