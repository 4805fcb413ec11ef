"""From the body of `infer` to what a model is fed."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from edge.api.oip.binary_tensors import binary_array, binary_data
from edge.api.oip.inputs import feeds_of, parse
from edge.api.oip.json_tensors import json_array
from precompute.errors import InvalidRequest
from precompute.signature import OutputSpec, Signature, TensorSpec

OUT = (OutputSpec("y", "tensor", "float32", (None,)),)
X = Signature((TensorSpec("x", "float32", (None, 3)),), OUT)
TWO = Signature((TensorSpec("n", "int64", (None, 1)), TensorSpec("s", "string", (None,))), OUT)
SCALED = Signature((TensorSpec("x", "float32", (None, 3)), TensorSpec("scale", "float32", ())), OUT)
OPEN = Signature((TensorSpec("x", "float32", (None, None)),), OUT)


def tensor(name: str = "x", shape: object = (1, 3), datatype: object = "FP32", **more: object) -> dict[str, object]:
    """One input."""
    return {"name": name, "shape": shape, "datatype": datatype, **more}


def binary(size: object) -> dict[str, object]:
    """Parameters of an input whose data stands behind the JSON."""
    return {"parameters": {"binary_data_size": size}}


def read(*inputs: dict[str, object], behind: bytes = b"", signature: Signature = X, most: int = 100) -> dict[str, Any]:
    """What a model is fed of some inputs."""
    head = json.dumps({"inputs": inputs}).encode()
    feeds, _ = feeds_of(parse(head + behind, b"%d" % len(head)), signature, most)
    return feeds


class TestWhatFits:
    @pytest.mark.parametrize("data", [[1, 2.5, 3, 4, 5, 6], [[1, 2.5, 3], [4, 5, 6]]])
    def test_data_may_be_flat_or_nested(self, data: object) -> None:
        """Row by row either way."""
        (x,) = read(tensor(shape=[2, 3], data=data)).values()

        assert x.dtype == np.float32
        assert x.tolist() == [[1, 2.5, 3], [4, 5, 6]]

    def test_binary_data_stands_behind_the_json_in_the_order_of_the_inputs(self) -> None:
        """Whatever the order of the model's; the model's is what comes out."""
        numbers, texts = np.array([[7], [-8]]), np.array(["é", ""], object)
        behind = binary_data(texts) + binary_data(numbers)

        feeds = read(
            tensor("s", [2], "BYTES", **binary(len(binary_data(texts)))),
            tensor("n", [2, 1], "INT64", **binary(16)),
            behind=behind,
            signature=TWO,
        )

        assert list(feeds) == ["n", "s"]
        assert feeds["n"].tolist() == [[7], [-8]]
        assert feeds["s"].tolist() == ["é", ""]

    def test_json_and_binary_data_go_together(self) -> None:
        """Each input has its own way."""
        feeds = read(
            tensor("s", [1], "BYTES", data=["a"]),
            tensor("n", [1, 1], "INT64", **binary(8)),
            behind=struct.pack("<q", 5),
            signature=TWO,
        )

        assert (feeds["n"].tolist(), feeds["s"].tolist()) == ([[5]], ["a"])

    def test_what_models_get_is_aligned(self) -> None:
        """Wherever it stood in the body."""
        for pad in range(1, 9):
            head = json.dumps({"inputs": [tensor(**binary(12))], "id": "x" * pad}).encode()
            feeds, _ = feeds_of(parse(head + bytes(12), b"%d" % len(head)), X, 1)
            assert feeds["x"].flags.aligned

    @pytest.mark.parametrize("shape", [[], [1]])
    def test_a_scalar_holds_for_all_rows(self, shape: list[int]) -> None:
        """It is given once for each."""
        feeds = read(tensor(shape=[2, 3], data=[0] * 6), tensor("scale", shape, data=[2.5]), signature=SCALED)

        assert feeds["scale"].tolist() == [2.5, 2.5]

    def test_null_stands_for_nan(self) -> None:
        """Among floats, as in our answers."""
        (x,) = read(tensor(data=[None, 1, 2])).values()

        assert np.isnan(x[0, 0])

    def test_other_members_are_nobody_s_business(self) -> None:
        """Clients send what they like, and null for nothing."""
        body = {"model_name": "other", "x": 1, "id": None, "parameters": None, "outputs": None}
        parsed = parse(json.dumps({**body, "inputs": [tensor(data=[1, 2, 3])]}).encode(), None)

        assert parsed.request.id is None
        assert feeds_of(parsed, X, 1)[1] == 1


REFUSED: dict[str, tuple[list[dict[str, object]], bytes, str]] = {
    "unknown input": ([tensor("z", data=[1, 2, 3])], b"", "no input 'z'; it has: x"),
    "no input": ([], b"", "input 'x' is missing"),
    "twice": ([tensor(data=[1, 2, 3])] * 2, b"", "given twice"),
    "wrong type": ([tensor(datatype="FP64", data=[1, 2, 3])], b"", "datatype 'FP64', the model takes FP32"),
    "unknown type": ([tensor(datatype="BF16", **binary(6))], bytes(6), "datatype 'BF16', the model takes FP32"),
    "type that is no text": ([tensor(datatype=1, data=[1])], b"", "Expected `str`, got `int`"),
    "negative size": ([tensor(shape=[-1, 3], data=[])], b"", r"shape \[-1, 3\], the model takes \[-1, 3\]"),
    "no rows": ([tensor(shape=[0, 3], data=[])], b"", r"shape \[0, 3\]"),
    "another rank": ([tensor(shape=[3], data=[1, 2, 3])], b"", r"shape \[3\], the model takes \[-1, 3\]"),
    "another width": ([tensor(shape=[1, 4], data=[1] * 4)], b"", r"shape \[1, 4\]"),
    "very many axes": ([tensor(shape=[1] * 5000, data=[1])], b"", "shape of 5000 sizes"),
    "rows beyond any number": ([tensor(shape=[2**70, 3], data=[1])], b"", "1 to 100 rows"),
    "too many rows": ([tensor(shape=[101, 3], data=[0] * 303)], b"", "1 to 100 rows, this one 101"),
    "size that is no number": ([tensor(shape=["1", 3], data=[1])], b"", "Expected `int`, got `str`"),
    "too few elements": ([tensor(data=[1, 2])], b"", r"2 elements, shape \[1, 3\] wants 3"),
    "nested otherwise": ([tensor(shape=[2, 3], data=[[1, 2], [3, 4], [5, 6]])], b"", r"nested as \[3, 2\]"),
    "ragged": ([tensor(shape=[2, 3], data=[[1, 2, 3], [4]])], b"", "differ in length"),
    "nested too deep": ([tensor(data=[[[1, 2, 3]]])], b"", "Expected `float | null`, got `array`"),
    "text among numbers": ([tensor(data=["1", 2, 3])], b"", "Expected `float | null`, got `str`"),
    "bool among numbers": ([tensor(data=[True, 2, 3])], b"", "got `bool`"),
    "no list": ([tensor(data=1)], b"", "Expected `array`"),
    "no data": ([tensor()], b"", "neither data nor binary_data_size"),
    "null data": ([tensor(data=None)], b"", "neither data nor binary_data_size"),
    "both": ([tensor(data=[1, 2, 3], **binary(12))], bytes(12), "both data and binary_data_size"),
    "too few bytes": ([tensor(**binary(8))], bytes(8), "binary data has 8 bytes"),
    "more than is there": ([tensor(**binary(13))], bytes(12), "but 12 bytes are left"),
    "less than is there": ([tensor(**binary(12))], bytes(13), "1 bytes stand behind"),
    "negative length": ([tensor(**binary(-1))], bytes(12), "binary_data_size -1"),
    "length that is a bool": ([tensor(**binary(True))], bytes(12), "binary_data_size True"),
    "length that is text": ([tensor(**binary("12"))], bytes(12), "binary_data_size '12'"),
    "bytes that nobody asked for": ([tensor(data=[1, 2, 3])], b"x", "1 bytes stand behind"),
    "shared memory": (
        [tensor(parameters={"shared_memory_region": "r", "shared_memory_byte_size": 12})],
        b"",
        "shared memory is not served",
    ),
}


@pytest.mark.parametrize(("inputs", "behind", "says"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(inputs: list[dict[str, object]], behind: bytes, says: str) -> None:
    """By a text that says what and where."""
    with pytest.raises(InvalidRequest, match=says):
        read(*inputs, behind=behind)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ([tensor("n", [1, 1], "INT64", data=[1.5]), tensor("s", [1], "BYTES", data=["a"])], "got `float`"),
        (
            [tensor("n", [1, 1], "INT64", data=[2**63]), tensor("s", [1], "BYTES", data=["a"])],
            "too large|bounds",
        ),
        ([tensor("n", [1, 1], "INT64", data=[1]), tensor("s", [1], "BYTES", data=[1])], "Expected `str`"),
        ([tensor("n", [1, 1], "INT64", data=[None]), tensor("s", [1], "BYTES", data=["a"])], "got `null`"),
        ([tensor("n", [2, 1], "INT64", data=[1, 2]), tensor("s", [1], "BYTES", data=["a"])], "disagree on the number"),
    ],
)
def test_whole_numbers_and_text_are_what_they_are(inputs: list[dict[str, object]], says: str) -> None:
    """Nothing is rounded, wrapped around or made of something else."""
    with pytest.raises(InvalidRequest, match=says):
        read(*inputs, signature=TWO)


@pytest.mark.parametrize("shape", [[2], [1, 1], [0]])
def test_a_scalar_is_one_value(shape: list[int]) -> None:
    """Not one for each row."""
    with pytest.raises(InvalidRequest, match="the model takes a scalar"):
        read(tensor(data=[1, 2, 3]), tensor("scale", shape, data=[1] * 2), signature=SCALED)


def test_open_sizes_may_not_be_nothing() -> None:
    """A row of no elements would be of any size."""
    with pytest.raises(InvalidRequest, match=r"shape \[1, 0\]"):
        read(tensor(shape=[1, 0], data=[]), signature=OPEN)


@pytest.mark.parametrize("length", [b"", b"-1", b"x", b"1e3", b"99", b"9" * 40, b"\xc2\xb2"])
def test_a_header_length_lies_within_the_body(length: bytes) -> None:
    """A number, and no larger than what there is."""
    with pytest.raises(InvalidRequest, match="is no length within a body of 2 bytes"):
        parse(b"{}", length)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"id": 7}', b'{"inputs": {}}', b'{"id": "\\ud800"}'])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    """Nothing, another document, broken JSON, and members of other types."""
    with pytest.raises(InvalidRequest, match="the request's JSON"):
        parse(body, None)


@pytest.mark.parametrize(
    ("data", "count", "says"),
    [
        (struct.pack("<I", 5) + b"abc", 1, "ends? 2 bytes too late"),
        (struct.pack("<I", 1) + b"a" + b"\0\0", 1, "2 bytes stand behind"),
        (struct.pack("<I", 2) + b"ab" + b"\0\0", 2, "ends before its 2 elements"),
        (struct.pack("<I", 1) + b"\xff", 1, "not UTF-8"),
        (b"\0" * 4, 10**9, "too few for 1000000000"),
        (struct.pack("<I", 0xFFFFFFFF), 1, "bytes too late"),
    ],
)
def test_lengths_of_texts_add_up(data: bytes, count: int, says: str) -> None:
    """To exactly what is there, whatever they claim."""
    with pytest.raises(InvalidRequest, match=says):
        binary_array("s", memoryview(data), "string", [count])


def test_a_bool_is_0_or_1() -> None:
    """Models do what they like with anything else."""
    assert binary_array("b", memoryview(b"\0\1"), "bool", [2]).tolist() == [False, True]
    with pytest.raises(InvalidRequest, match="0 or 1"):
        binary_array("b", memoryview(b"\0\2"), "bool", [2])


DTYPES = ("bool", "uint8", "int8", "uint16", "int32", "uint64", "int64", "float32", "float64", "string")


@given(st.data(), st.sampled_from(DTYPES))
def test_tensors_survive_both_encodings(data: st.DataObject, dtype: str) -> None:
    """Every element, every bit; NaN apart, whose bits JSON does not have."""
    shape = data.draw(stn.array_shapes(max_dims=3, max_side=4))
    if dtype == "string":
        texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
        array = np.array(data.draw(st.lists(texts, min_size=int(np.prod(shape)), max_size=int(np.prod(shape)))), object)
        array = array.reshape(shape)
    else:
        elements = stn.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False)
        array = data.draw(stn.arrays(dtype, shape, elements=elements))
    for text in (array.tolist(), array.reshape(-1).tolist()):
        assert _same(json_array("x", json.dumps(text).encode(), dtype, shape), array)

    assert _same(binary_array("x", memoryview(binary_data(array)), dtype, shape), array)


def _same(a: Any, b: Any) -> bool:
    return a.dtype == b.dtype and a.tolist() == b.tolist()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
TENSORS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["x", "n", "s", "z"]) | JSON_VALUES,
        "shape": st.lists(st.integers(-2, 4), max_size=3) | JSON_VALUES,
        "datatype": st.sampled_from(["FP32", "INT64", "BYTES"]) | JSON_VALUES,
        "data": JSON_VALUES,
        "parameters": st.dictionaries(st.just("binary_data_size"), st.integers(-4, 40)) | JSON_VALUES,
    },
)


@given(st.lists(TENSORS, max_size=3) | JSON_VALUES, st.binary(max_size=40), st.sampled_from([X, TWO, SCALED, OPEN]))
def test_whatever_comes_is_taken_or_refused(inputs: object, behind: bytes, signature: Signature) -> None:
    """Never does it end as anything but a feed that fits, or a text for whoever sent it."""
    head = json.dumps({"inputs": inputs}).encode()
    try:
        feeds, rows = feeds_of(parse(head + behind, b"%d" % len(head)), signature, 100)
    except InvalidRequest as error:
        assert str(error)
        return
    assert all(len(array) == rows for array in feeds.values())


@pytest.mark.parametrize("member", ["data", "z"])
def test_brackets_without_an_end_are_refused(member: str) -> None:
    """Wherever they stand; they would otherwise end the reader."""
    text = json.dumps({"inputs": [tensor()]}).encode()[:-3] + b',"%b":%b' % (member.encode(), b"[" * 400_000)

    with pytest.raises(InvalidRequest, match=r"recursion|malformed|truncated"):
        read_text(text + b"]" * 400_000 + b"}]}")


def test_data_in_very_many_lists_is_refused() -> None:
    """Making them would hold up everybody; flat, or as binary data, the same is welcome."""
    width = 70_000
    shape = Signature((TensorSpec("x", "int64", (None, width, 1)),), OUT)
    nested = json.dumps([[[1]] * width])

    with pytest.raises(InvalidRequest, match="more than 65,536 lists; send it flat"):
        read(tensor(shape=[1, width, 1], datatype="INT64", data=json.loads(nested)), signature=shape)
    flat = read(tensor(shape=[1, width, 1], datatype="INT64", data=[1] * width), signature=shape)

    assert flat["x"].shape == (1, width, 1)


def read_text(body: bytes) -> None:
    """A body as it is."""
    feeds_of(parse(body, None), X, 100)
