"""What goes in and out of each door, and the list of doors: what they decode, and what describes them to others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

#: Values of parameters, as the protocol has them.
Parameters = dict[str, str | int | float | bool]


class RequestInput(msgspec.Struct):
    """One input tensor; its elements stand in `data`, or behind the JSON if `parameters` have `binary_data_size`."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters | None = None
    # By a factory, because a default of this type cannot be described.
    data: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


class RequestOutput(msgspec.Struct):
    """One output that is wanted; `binary_data` among its parameters says how."""

    name: str
    parameters: Parameters | None = None


class InferRequest(msgspec.Struct):
    """The body of `infer`: tensors, or a `key` among the parameters. What else it holds is not looked at."""

    id: str | None = None
    parameters: Parameters | None = None
    inputs: list[RequestInput] | None = None
    outputs: list[RequestOutput] | None = None


class ResponseOutput(msgspec.Struct, omit_defaults=True):
    """One output tensor; its elements stand in `data` in row-major order, or behind the JSON."""

    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters = {}
    data: list[Any] | None = None


class InferResponse(msgspec.Struct, omit_defaults=True):
    """What `infer` answers; `parameters` say `tier`, `variant`, and `stale` if it is."""

    model_name: str
    model_version: str
    outputs: list[ResponseOutput]
    id: str | None = None
    parameters: Parameters = {}


class Instances(msgspec.Struct):
    """The body of `:predict`: a row each, as an object of inputs by name, or as the value of the only input."""

    instances: list[msgspec.Raw]


class Predictions(msgspec.Struct):
    """What `:predict` answers: a row each, as an object of outputs by name, or as the value of the only output."""

    predictions: list[Any]


class ServerMetadata(msgspec.Struct):
    """Who answers."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(msgspec.Struct, omit_defaults=True):
    """One tensor; a size of -1 is any size. `labels` among the parameters is a JSON list of what its values are."""

    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters = {}


class ModelMetadata(msgspec.Struct):
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class Health(msgspec.Struct, omit_defaults=True):
    """Whether the server lives and takes requests."""

    live: bool
    ready: bool | None = None


class ModelReady(msgspec.Struct):
    """Whether a model takes requests."""

    name: str
    ready: bool


class IndexRequest(msgspec.Struct):
    """The body of the repository's index; `ready` leaves out what is not."""

    ready: bool = False


class ModelState(msgspec.Struct, omit_defaults=True):
    """One version in the repository: `READY`, `LOADING` or `UNAVAILABLE`, and why."""

    name: str
    state: str
    version: str = ""
    reason: str = ""


class RepositoryRequest(msgspec.Struct):
    """The body of load and unload, which may be missing; no parameter is known."""

    parameters: dict[str, Any] | None = None


class Duration(msgspec.Struct):
    """How often, and how long together."""

    count: int = 0
    ns: int = 0


class InferenceStatistics(msgspec.Struct):
    """What has become of requests; queueing and copying are not measured apart, and stay 0."""

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Duration
    compute_infer: Duration
    compute_output: Duration
    cache_hit: Duration
    cache_miss: Duration


class ModelStatistics(msgspec.Struct):
    """The counts of one model, or of one version's variant."""

    name: str
    version: str
    inference_count: int
    execution_count: int
    inference_stats: InferenceStatistics
    batch_stats: list[Any] = []


class Statistics(msgspec.Struct):
    """What has been counted since the node started."""

    model_stats: list[ModelStatistics]


class ErrorBody(msgspec.Struct):
    """Whatever went wrong."""

    error: str


@dataclass(frozen=True, slots=True)
class Door:
    """One path of the protocol.

    Attributes:
        request: the shape of the body; None if there is none.
        response: that of the answer; None if what it holds is the model's affair.
        admin: whether it takes the admin token.
    """

    method: str
    path: str
    summary: str
    response: type[Any] | None
    request: type[msgspec.Struct] | None = None
    admin: bool = False


_MODEL, _VERSION = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"

DOORS: tuple[Door, ...] = (
    Door("GET", "/v2", "Who answers", ServerMetadata),
    Door("GET", "/v2/health/live", "Whether the server lives", Health),
    Door("GET", "/v2/health/ready", "Whether the server takes requests", Health),
    *(
        door
        for at in (_MODEL, _VERSION)
        for door in (
            Door("GET", at, "What a model takes and gives", ModelMetadata),
            Door("GET", f"{at}/ready", "Whether a model takes requests", ModelReady),
            Door("GET", f"{at}/config", "A model's configuration in Triton's words", None),
            Door("GET", f"{at}/stats", "What has been counted", Statistics),
            Door("POST", f"{at}/infer", "Predictions, by key or from tensors", InferResponse, InferRequest),
        )
    ),
    Door("GET", "/v2/models/stats", "What has been counted, of all models", Statistics),
    Door("POST", "/v2/repository/index", "Every version and its state", list[ModelState], IndexRequest),
    *(
        Door("POST", f"/v2/repository/models/{{model}}/{what}", text, ModelState, RepositoryRequest, admin=True)
        for what, text in (
            ("load", "Puts a model back into this node's service"),
            ("unload", "Takes a model out of this node's service"),
        )
    ),
    Door("POST", "/v1/models/{model}:predict", "Predictions from rows (KServe v1)", Predictions, Instances),
)
