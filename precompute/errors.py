"""Our errors.

NearcastError
├─ ConfigError                refuse to start; one line says what to change
│  └─ ManifestError           the project file: every mistake with file, table and key
├─ TransientError             the caller may retry or fall back
│  ├─ StoreUnavailable        Redis is away, slow, loading or full
│  ├─ Overloaded              a bounded queue is full
│  ├─ ModelUnavailable        a model is not loaded, or taken out because it failed
│  ├─ ModelStuck              a run of a model was ended because it took too long
│  └─ DeadlineExceeded        the answer would come too late
└─ PermanentError             retrying cannot help
   ├─ UnknownModel            no such model in the project
   ├─ UnknownView             no such view in the project
   ├─ UnknownJob              no such job is declared
   ├─ UnknownExperiment       no such experiment is declared
   ├─ ExperimentRefused       an experiment that does not go with the others, or with what exists
   ├─ InvalidKey              the key does not have the model's shape
   ├─ InvalidContext          a request-time feature is missing, mistyped or out of range
   ├─ FeatureMissing          a row, field or number that the model cannot do without
   ├─ FeatureUnfit            a value that the model's type cannot hold
   ├─ RowRejected             a feature row that must not be stored
   ├─ ModelFailed             the model itself gives an error for these rows
   ├─ ModelRejected           a model file that does not fit its declaration, or does not load
   ├─ VersionMissing          nothing published, or no such version
   │  └─ Withdrawn            somebody has taken the model out of this node's service
   ├─ UnknownVersion          asked for by number, and not ready here
   ├─ EntryCorrupt            stored bytes that are not what the key promises
   └─ InvalidRequest          a request that makes no sense, whatever the data
"""

from __future__ import annotations

from dataclasses import dataclass


class NearcastError(Exception):
    """Anything nearcast reports on purpose; its text is one line made for people."""


class ConfigError(NearcastError):
    """The process refuses to start."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a project file."""

    file: str
    table: str
    key: str
    message: str

    def __str__(self) -> str:
        where = f"[{self.table}]" if self.table else "top level"
        return f"{self.file}: {where}{' ' + self.key if self.key else ''}: {self.message}"


class ManifestError(ConfigError):
    """Every mistake found in the project file, at once."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class TransientError(NearcastError):
    """May succeed later or elsewhere."""


class StoreUnavailable(TransientError):
    """Redis did not answer in time, or not as a healthy server would."""


class Overloaded(TransientError):
    """A bounded queue is full; come back after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ModelUnavailable(TransientError):
    """Says of which model, and why."""


class ModelStuck(TransientError):
    """Would have held up everybody else who waits for a processor."""


class DeadlineExceeded(TransientError):
    """The time the caller gave is over."""


class PermanentError(NearcastError):
    """Fails the same way each time until somebody changes something."""


class UnknownModel(PermanentError):
    """Names the models that exist."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no model {name!r}; this project has: {', '.join(known) or 'none'}")
        self.known = known


class UnknownView(PermanentError):
    """Names the views that exist."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no view {name!r}; this project has: {', '.join(known) or 'none'}")
        self.known = known


class UnknownJob(PermanentError):
    """Names the declared jobs that exist."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no declared job {name!r}; there are: {', '.join(known) or 'none'}")


class UnknownExperiment(PermanentError):
    """Names the experiments that exist."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"no experiment {name!r}; there are: {', '.join(known) or 'none'}")


class ExperimentRefused(PermanentError):
    """Says what stands in its way."""


class InvalidKey(PermanentError):
    """Shows the expected shape."""


class InvalidContext(PermanentError):
    """Names the request-time feature and what it must be."""


class FeatureMissing(PermanentError):
    """A feature whose policy is `error` has no value."""

    def __init__(self, view: str, entity: str, field: str | None = None) -> None:
        what = f"no value for {view}.{field} of {entity!r}" if field else f"no row for {view} {entity!r}"
        super().__init__(what)
        self.view, self.entity, self.field = view, entity, field


class FeatureUnfit(PermanentError):
    """A value that would come out as another one in the model's input type."""

    def __init__(self, name: str, value: object, dtype: str) -> None:
        super().__init__(f"{name} is {value}, which the model's {dtype} cannot hold")


class RowRejected(PermanentError):
    """Says which field is wrong and why."""


class ModelFailed(PermanentError):
    """Shows what ONNX Runtime says."""


class ModelRejected(PermanentError):
    """Shows what the project declares beside what the model file has."""


class VersionMissing(PermanentError):
    """Nothing to serve: publish a version first."""


class Withdrawn(VersionMissing):
    """Load it again first."""


class UnknownVersion(PermanentError):
    """Names the versions that are ready."""


class EntryCorrupt(PermanentError):
    """Stored bytes that do not parse, or that belong to another key."""


class InvalidRequest(PermanentError):
    """Says what to send instead."""
