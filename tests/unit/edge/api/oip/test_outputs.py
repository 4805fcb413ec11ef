"""From a model's answers to the body of a response."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from edge.api.oip.inputs import Parsed, parse
from edge.api.oip.outputs import Wanted, response_body, wanted_outputs
from precompute.errors import InvalidRequest
from precompute.output_tensors import AnswerSpec

Y, HALF = AnswerSpec("y", "float32", (2,)), AnswerSpec("half", "float16", ())
TEXT, SHARED = AnswerSpec("text", "string", ()), AnswerSpec("shared", "float32", (), batched=False)


def asked(**members: Any) -> Parsed:
    """A request with these members."""
    return parse(json.dumps(members).encode(), None)


def chosen(specs: list[AnswerSpec], **members: Any) -> list[tuple[str, bool]]:
    """Names of what a request wants, and whether as binary data."""
    return [(one.spec.name, one.binary) for one in wanted_outputs(asked(**members), specs)]


def test_everything_is_wanted_unless_it_is_said() -> None:
    """In the model's order, or the client's."""
    assert chosen([Y, TEXT]) == [("y", False), ("text", False)]
    assert chosen([Y, TEXT], outputs=[]) == [("y", False), ("text", False)]
    assert chosen([Y, TEXT], outputs=[{"name": "text"}]) == [("text", False)]


def test_an_output_s_own_word_counts_more_than_the_request_s() -> None:
    """Whether it is binary."""
    wanted = [{"name": "y"}, {"name": "text", "parameters": {"binary_data": False}}]

    assert chosen([Y, TEXT], parameters={"binary_data_output": True}, outputs=wanted) == [("y", True), ("text", False)]


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"outputs": [{"name": "z"}]}, "no output 'z'; it has: y, half"),
        ({"outputs": [{"name": "y"}, {"name": "y"}]}, "asked for twice"),
        ({"outputs": [{"name": "y", "parameters": {"classification": 3}}]}, "classification is not served"),
        ({"outputs": [{"name": "y", "parameters": {"binary_data": 1}}]}, "must be true or false"),
        ({"parameters": {"binary_data_output": "yes"}}, "must be true or false"),
        ({"outputs": [{"name": "half"}]}, "FP16, which has no form in JSON"),
        ({}, "FP16, which has no form in JSON"),
    ],
)
def test_what_cannot_be_had_is_refused(members: dict[str, Any], says: str) -> None:
    """Before anything is computed."""
    with pytest.raises(InvalidRequest, match=says):
        wanted_outputs(asked(**members), [Y, HALF])


def test_binary_data_stands_behind_the_json_in_the_order_of_the_outputs() -> None:
    """The length of the JSON says where it begins; what is not binary stands in it."""
    y, text = np.array([[0.1, -0.0]], np.float32), np.array(["é"], object)
    wanted = [Wanted(TEXT, binary=True), Wanted(Y, binary=False), Wanted(SHARED, binary=True)]

    answers = {"y": y, "text": text, "shared": np.array([2.5], np.float32)}
    body, length = response_body({"id": "7"}, wanted, answers)

    assert length is not None
    document = json.loads(body[:length])
    assert document["id"] == "7"
    assert document["outputs"] == [
        {"name": "text", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 6}},
        {"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [0.1, -0.0]},
        {"name": "shared", "datatype": "FP32", "shape": [], "parameters": {"binary_data_size": 4}},
    ]
    assert body[length:] == b"\x02\0\0\0\xc3\xa9" + np.float32(2.5).tobytes()


def test_floats_are_written_so_that_they_read_back_as_they_were() -> None:
    """Every float32 through a double, as clients read JSON."""
    bits = np.random.default_rng(3).integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32)
    values = bits[np.isfinite(bits)]

    body, _ = response_body({}, [Wanted(AnswerSpec("y", "float32", ()), binary=False)], {"y": values})

    back = np.array(json.loads(body)["outputs"][0]["data"], np.float32)
    assert back.tobytes() == values.tobytes()


def test_rows_that_are_part_of_a_larger_array_are_written_alone() -> None:
    """Also where they do not lie side by side."""
    whole = np.arange(12, dtype=np.float32).reshape(3, 4)

    json_body, _ = response_body({}, [Wanted(Y, binary=False)], {"y": whole[1:, ::2]})
    binary_body, length = response_body({}, [Wanted(Y, binary=True)], {"y": whole[1:, ::2]})

    assert json.loads(json_body)["outputs"][0]["data"] == [4, 6, 8, 10]
    assert binary_body[length:] == np.array([4, 6, 8, 10], np.float32).tobytes()
