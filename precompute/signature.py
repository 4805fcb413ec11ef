"""What a model takes and gives, as plain data: names, types and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from precompute.errors import PermanentError

Array: TypeAlias = NDArray[Any]
#: One output for N rows: an array with leading axis N, or N maps of class to probability.
Output: TypeAlias = Array | list[dict[Any, float]]
Shape: TypeAlias = tuple[int | None, ...]

_INTEGERS = frozenset(("int32", "int64"))


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input of a model. The first axis is the batch; shape `()` is a scalar shared by a whole run.

    `dtype` is NumPy's name, or `string`; `None` in `shape` is a size the model leaves open.
    """

    name: str
    dtype: str
    shape: Shape

    @property
    def batched(self) -> bool:
        """Whether one run can hold a different value for each row."""
        return bool(self.shape)

    @property
    def row_shape(self) -> Shape:
        """The shape of one row, without the batch axis."""
        return self.shape[1:]

    def accepts_row(self, row: Shape) -> bool:
        """Whether a feature of this shape fills one row; a single value fits any shape that holds one."""
        if len(row) == len(self.row_shape):
            return all(want is None or want == got for want, got in zip(self.row_shape, row, strict=True))
        return all(want in (1, None) for want in self.row_shape) and all(got == 1 for got in row)

    def fit(self, values: Array) -> Array:
        """`values` (leading axis N) in the type and shape `Session.run` expects; a copy only when needed.

        Raises PermanentError when a row has another shape, or an integer is too large for the model's type.
        """
        if not self.accepts_row(values.shape[1:]):
            got = describe(dtype_name(values), ("N", *values.shape[1:]))
            raise PermanentError(f"input {self.name!r}: got {got}, the model takes {self.kind}")
        if values.ndim - 1 != len(self.row_shape):
            values = values.reshape(len(values), *(1,) * len(self.row_shape))
        return values if dtype_name(values) == self.dtype else self._cast(values)

    def _cast(self, values: Array) -> Array:
        got = dtype_name(values)
        if not castable(got, self.dtype):
            raise PermanentError(f"input {self.name!r}: got {got} values, the model takes {self.kind}")
        # A double beyond float32 becomes infinity, as it does in every float32 model; NumPy would warn.
        with np.errstate(over="ignore"):
            cast: Array = values.astype(self.dtype)
        if cast.dtype.kind in "iu" and not np.can_cast(values.dtype, cast.dtype):
            lost = values[cast != values]
            if lost.size:
                raise PermanentError(f"input {self.name!r}: {lost.flat[0]} does not fit into {self.dtype}")
        return cast

    @property
    def kind(self) -> str:
        """Type and shape for people: `float32[N, 32]`."""
        return describe(self.dtype, self.shape)

    def __str__(self) -> str:
        return f"{self.name}: {self.kind}"


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output of a model.

    `tensor` has `dtype` and `shape`; without a batch axis (`batched` false) it holds for a whole run. `maps`
    is one map per row from `keys` (`int64` or `string`) to float32. `other` cannot be put into an answer.
    """

    name: str
    kind: Literal["tensor", "maps", "other"]
    dtype: str
    shape: Shape
    batched: bool = True
    keys: str | None = None

    @property
    def row_shape(self) -> Shape:
        """The shape of one row, without the batch axis."""
        return self.shape[1:] if self.batched else self.shape

    def fits(self, output: Output, rows: int) -> bool:
        """Whether what a run of `rows` rows returned can be told apart by rows, or holds for all of them."""
        if isinstance(output, list):
            return len(output) == (rows if self.batched else 1)
        return output.shape[:1] == (rows,) if self.batched else output.ndim == len(self.shape)

    def __str__(self) -> str:
        if self.kind == "tensor":
            return f"{self.name}: {describe(self.dtype, self.shape)}"
        return f"{self.name}: map of {self.keys} to {self.dtype}" if self.keys else f"{self.name}: {self.dtype}"


@dataclass(frozen=True, slots=True)
class Signature:
    """Everything a caller must know to feed a model and to read its outputs."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[OutputSpec, ...]

    @property
    def batch_size(self) -> int | None:
        """The number of rows each run must have; None when any number will do."""
        return next((spec.shape[0] for spec in self.inputs if spec.shape and spec.shape[0] is not None), None)

    def to_json(self) -> dict[str, Any]:
        """Plain dicts and lists, for the registry."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Signature:
        """The inverse of `to_json`."""
        return msgspec.convert(plain, cls)

    def __str__(self) -> str:
        return f"({listed(self.inputs)}) -> ({listed(self.outputs)})"


def check_inputs(wanted: Mapping[str, tuple[str, tuple[int, ...]]], signature: Signature) -> list[str]:
    """What keeps a manifest from feeding a model: one sentence each, showing both sides.

    `wanted` has, by input name, the type and the row shape (no batch axis) the manifest would feed.
    """
    known = {spec.name: spec for spec in signature.inputs}
    fed = {name: describe(dtype, ("N", *row)) for name, (dtype, row) in wanted.items()}
    problems = [
        f"input {name!r}: the manifest feeds {fed[name]}, the model has no such input; "
        f"it has {listed(signature.inputs)}"
        for name in wanted
        if name not in known
    ]
    for name, spec in known.items():
        if name not in wanted:
            problems.append(f"input {name!r}: the manifest feeds nothing, the model takes {spec.kind}")
            continue
        dtype, row = wanted[name]
        if not (castable(dtype, spec.dtype) and spec.accepts_row(row)):
            problems.append(f"input {name!r}: the manifest feeds {fed[name]}, the model takes {spec.kind}")
    return problems


def castable(source: str, target: str) -> bool:
    """Whether a feature type may be fed to an input type: never float to int, never text to number."""
    if source == target:
        return True
    if "string" in (source, target) or target == "bool":
        return False
    if source in ("bool", "uint8") or target.startswith("float"):
        return True
    return source in _INTEGERS and target in _INTEGERS


def dtype_name(values: Array) -> str:
    """NumPy's name of the type, `string` for text in any representation."""
    return "string" if values.dtype.kind in "OUT" else values.dtype.name


def describe(dtype: str, shape: tuple[int | str | None, ...]) -> str:
    """`float32[N, 32]`: an open batch is N, another open size is `?`, a lone scalar is `float32[]`."""
    sizes = [str(size) if size is not None else "N" if axis == 0 else "?" for axis, size in enumerate(shape)]
    return f"{dtype}[{', '.join(sizes)}]"


def listed(specs: tuple[TensorSpec, ...] | tuple[OutputSpec, ...]) -> str:
    """Inputs or outputs in one line."""
    return ", ".join(map(str, specs)) or "none"
