"""The only code that speaks ONNX Runtime: load a model, run N rows, get N rows."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from precompute.batches import Plan, gather, require
from precompute.errors import ModelFailed, ModelRejected, ModelStuck, NearcastError, PermanentError
from precompute.onnx_types import input_spec, output_spec, reason
from precompute.probe import repeated, with_true_batch_axes, zero_rows
from precompute.signature import Array, Output, OutputSpec, Signature

#: Beyond a few thousand rows a larger run gains nothing and only holds more memory.
MAX_BATCH = 4096
#: A larger file is loaded from a path: given bytes, ONNX Runtime parses them without letting other threads run, which
#: takes 1 ms for each MB.
_LARGE_BYTES = 1 << 20
#: Everything ONNX Runtime raises; its own classes have no common base.
_FAILURES: tuple[type[Exception], ...] = (
    *(kind for kind in vars(ort_errors).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    RuntimeError,
    ValueError,
)


class Session:
    """A loaded model. Any number of rows may be asked at once; threads may share a session.

    One thread runs it and does not spin: idle spinning takes a core from the event loop it serves. Runs are
    cut at `max_batch` rows.

    `buckets` pads runs to powers of two. It is off, because memory stays bounded without it: after each of
    4,096 batch sizes, twice over, the process had grown by 6.6 MB with ONNX Runtime's memory plans (it keeps
    one per shape), by 5.6 MB with buckets, and by 2.5 MB, then no further, without those plans. So the plans
    are off; an MLP of 32-128-64-1 runs as fast (1 and 1,024 rows in 4.2 and 128 µs, with them 4.1 and 128).
    """

    def __init__(self, session: Any, max_batch: int, *, buckets: bool) -> None:
        self._ort = session
        self._options = onnxruntime.RunOptions()
        #: Processor seconds of the last warm-up run, by rows.
        self.costs_s: dict[int, float] = {}
        self.signature = with_true_batch_axes(_declared(session), self._execute)
        self._plan = Plan(self.signature, max_batch, buckets)
        self._outputs = [spec for spec in self.signature.outputs if spec.kind != "other"]
        self._names = [spec.name for spec in self._outputs]
        self._first, *self._others = [spec.name for spec in self.signature.inputs]
        shared = any(not spec.batched for spec in self.signature.inputs) or any(
            not spec.batched for spec in self._outputs
        )
        #: The numbers of rows that can go to the model just as they come.
        self._direct = range(0) if shared or buckets else _fitting(self.signature.batch_size, max_batch)

    @classmethod
    def load(
        cls, model: bytes, *, intra_op_threads: int = 1, max_batch: int = MAX_BATCH, buckets: bool = False
    ) -> Session:
        """Loads the bytes of an ONNX file. Raises ModelRejected, one line that says why it cannot be used."""
        try:
            session = _session(model, _options(intra_op_threads))
        except _FAILURES as error:
            raise ModelRejected(f"cannot load the model ({len(model)} bytes): {reason(error)}") from error
        return cls(session, max_batch, buckets=buckets)

    def run(self, feeds: dict[str, Array]) -> dict[str, Output]:
        """Computes N rows from one array per input with leading axis N; every output has N entries.

        An input without batch axis is fed N values too. Types must be exact (see `TensorSpec.fit`).
        Raises PermanentError; ModelFailed where the model itself does, ModelStuck after `stop_runs`.
        """
        rows = len(feeds.get(self._first, ()))
        if rows not in self._direct:
            return self._run_in_parts(feeds)
        for name in self._others:
            # A single row in one input would be spread over all rows of the others.
            if len(feeds.get(name, ())) != rows:
                return self._run_in_parts(feeds)
        options = self._options
        try:
            results = self._ort.run(self._names, feeds, options)
        except _FAILURES as error:
            # Looking at types and shapes before each run would cost more than running a small model.
            require(feeds, self.signature)
            raise _failure(error, options) from error
        for spec, result in zip(self._outputs, results, strict=True):
            if len(result) != rows:
                raise _stray(spec, result, rows)
        return dict(zip(self._names, results, strict=True))

    def warm_up(self, batch_sizes: Sequence[int] = (1, 32, 1), sample: Mapping[str, Array] | None = None) -> None:
        """Runs once per batch size, so that no request pays for the first run. Raises ModelRejected.

        The rows are zeros and empty strings, or those of `sample` over and over; a model that refuses unknown
        categories needs them.
        """
        for rows in batch_sizes:
            feeds = repeated(sample, rows) if sample else zero_rows(self.signature, rows)
            began_s = time.thread_time()
            try:
                self.run(feeds)
            except PermanentError as error:
                raise ModelRejected(f"warm-up with {rows} rows: {error}") from error
            self.costs_s[rows] = time.thread_time() - began_s

    def _run_in_parts(self, feeds: Mapping[str, Array]) -> dict[str, Output]:
        require(feeds, self.signature)
        rows = len(feeds[self._first])
        if not rows:
            return {spec.name: _nothing(spec) for spec in self._outputs}
        runs = list(self._plan.runs(feeds, rows))
        parts: dict[str, list[Output]] = {name: [] for name in self._names}
        for run in runs:
            results = self._execute(self._names, run.feeds(feeds, self.signature))
            for spec, result in zip(self._outputs, results, strict=True):
                if not spec.fits(result, run.size):
                    raise _stray(spec, result, run.size)
                parts[spec.name].append(run.trim(spec, result))
        return {name: gather(runs, outputs) for name, outputs in parts.items()}

    def stop_runs(self) -> None:
        """Ends all runs under way, at the next node of each; their callers get ModelStuck. For other threads."""
        stopped, self._options = self._options, onnxruntime.RunOptions()
        stopped.terminate = True

    def _execute(self, names: Sequence[str], feeds: Mapping[str, Array]) -> list[Output]:
        options = self._options
        try:
            results: list[Output] = self._ort.run(names, feeds, options)
        except _FAILURES as error:
            raise _failure(error, options) from error
        return results


def digest(model: bytes) -> str:
    """The SHA-256 of a model file, in hex: its identity in the registry."""
    return hashlib.sha256(model).hexdigest()


def _session(model: bytes, options: Any) -> Any:
    if len(model) < _LARGE_BYTES:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # A directory of its own: a model may name files beside it that hold its weights, and there shall be none.
    try:
        with tempfile.TemporaryDirectory(prefix="nearcast-") as directory:
            path = Path(directory, "model.onnx")
            path.write_bytes(model)
            return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except OSError:  # No room there: better a pause than no model.
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _failure(error: Exception, options: Any) -> NearcastError:
    if options.terminate:
        return ModelStuck("a run of the model was ended because it took too long")
    return ModelFailed(f"the model failed: {reason(error)}")


def _options(intra_op_threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Failures are raised; printed as well, bad requests could fill the log.
    options.log_severity_level = 4
    return options


def _fitting(batch_size: int | None, max_batch: int) -> range:
    return range(batch_size, batch_size + 1) if batch_size else range(1, max_batch + 1)


def _declared(session: Any) -> Signature:
    """The signature as the file states it. Raises ModelRejected when no manifest could ever fit it."""
    signature = Signature(
        tuple(input_spec(node.name, node.type, node.shape) for node in session.get_inputs()),
        tuple(output_spec(node.name, node.type, node.shape) for node in session.get_outputs()),
    )
    if not signature.inputs:
        raise ModelRejected(f"the model has no inputs, so every key would get the same answer: {signature}")
    if all(spec.kind == "other" for spec in signature.outputs):
        raise ModelRejected(f"no output of the model can be put into an answer: {signature}")
    sizes = {spec.shape[0] for spec in signature.inputs if spec.shape} - {None}
    if len(sizes) > 1:
        raise ModelRejected(f"the inputs of the model fix different batch sizes: {signature}")
    return signature


def _nothing(spec: OutputSpec) -> Output:
    if spec.kind == "maps":
        return []
    dtype = object if spec.dtype == "string" else spec.dtype
    return np.empty((0, *(size or 0 for size in spec.row_shape)), dtype=dtype)


def _stray(spec: OutputSpec, result: Output, rows: int) -> PermanentError:
    shape = list(np.shape(result)) if isinstance(result, np.ndarray) else [len(result)]
    return PermanentError(f"output {spec} came back with shape {shape} for {rows} rows")
