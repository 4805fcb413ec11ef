"""From a model's answers to the body of an `infer` response, as JSON or with binary data behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from edge.api.oip.binary_tensors import binary_data
from edge.api.oip.datatypes import BINARY_ONLY, DATATYPES
from edge.api.oip.inputs import Parsed
from edge.api.oip.shapes import Parameters, RequestOutput
from precompute.errors import InvalidRequest
from precompute.output_tensors import AnswerSpec
from precompute.signature import Array


@dataclass(frozen=True, slots=True)
class Wanted:
    """One output to answer with, and whether as binary data."""

    spec: AnswerSpec
    binary: bool


def wanted_outputs(parsed: Parsed, specs: Sequence[AnswerSpec]) -> list[Wanted]:
    """What the client asks for, in its order; everything if it does not say.

    Raises:
        InvalidRequest: the model has no such output, or it is asked for in a way it does not come in.
    """
    by_name = {spec.name: spec for spec in specs}
    binary = _flag(parsed.parameters, "binary_data_output", default=False)
    chosen: dict[str, Wanted] = {}
    for each in parsed.request.outputs or [RequestOutput(name) for name in by_name]:
        if each.name not in by_name:
            raise InvalidRequest(f"the model has no output {each.name!r:.80}; it has: {', '.join(by_name)}")
        if each.name in chosen:
            raise InvalidRequest(f"output {each.name!r} is asked for twice")
        parameters = each.parameters or {}
        for unknown in ("classification", "shared_memory_region"):
            if unknown in parameters:
                raise InvalidRequest(f"output {each.name!r}: {unknown} is not served")
        one = Wanted(by_name[each.name], _flag(parameters, "binary_data", default=binary))
        if one.spec.dtype == BINARY_ONLY and not one.binary:
            raise InvalidRequest(
                f"output {each.name!r} is {DATATYPES[BINARY_ONLY]}, which has no form in JSON; ask for binary_data"
            )
        chosen[each.name] = one
    return list(chosen.values())


def _flag(parameters: Parameters, name: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InvalidRequest(f"parameter {name!r} must be true or false")
    return value


def response_body(
    head: Mapping[str, Any], wanted: Sequence[Wanted], answers: Mapping[str, Array]
) -> tuple[bytes, int | None]:
    """The body, and how long its JSON is if something stands behind it.

    Args:
        head: the members before `outputs`.
        answers: by output, `[N, ...]`.
    """
    outputs, behind = [], []
    for one in wanted:
        spec = one.spec
        array = answers[spec.name] if spec.batched else answers[spec.name][0]
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        shown: dict[str, Any] = {"name": spec.name, "datatype": DATATYPES[spec.dtype], "shape": list(array.shape)}
        if one.binary:
            data = binary_data(array)
            behind.append(data)
            shown["parameters"] = {"binary_data_size": len(data)}
        else:
            flat = array.reshape(-1)
            shown["data"] = flat.tolist() if flat.dtype.kind == "O" else flat
        outputs.append(shown)
    text = orjson.dumps({**head, "outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    if not any(one.binary for one in wanted):
        return text, None
    return b"".join([text, *behind]), len(text)
