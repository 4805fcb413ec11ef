"""What a call can end with instead of an answer.

ClientError
├─ Unreachable             no HTTP answer: refused, hung up, or too late
├─ NotUnderstood           an answer that no edge gives
└─ ProblemError            the edge, or somebody before it, said no; `problem` says why
   ├─ InvalidRequest       the request makes no sense
   ├─ InvalidContext       a request-time feature is missing, mistyped or out of range
   ├─ InvalidKey           the key does not have the model's shape
   ├─ UnknownModel         the project has no such model
   ├─ FeatureMissing       a row, field or number is missing; `problem` names view and entity
   ├─ CannotCompute        the model cannot be computed for this
   ├─ BudgetExceeded       no answer in the time that was given
   ├─ NothingPublished     no version of the variant has been published yet
   └─ Unavailable          not now; may succeed in a moment
      └─ Overloaded        the edge sheds load
"""

from __future__ import annotations

from edge.contract.answers import Problem


class ClientError(Exception):
    """Anything that a call can end with instead of an answer."""


class Unreachable(ClientError):
    """There was no HTTP answer."""


class NotUnderstood(ClientError):
    """There was an answer that no edge gives."""


class ProblemError(ClientError):
    """The answer was a problem.

    Attributes:
        retry_after_s: when to come back, if the answer says so.
    """

    def __init__(self, problem: Problem, retry_after_s: float | None = None) -> None:
        super().__init__(f"{problem.status} {problem.name}: {problem.detail or problem.title}")
        self.problem = problem
        self.retry_after_s = retry_after_s


class InvalidRequest(ProblemError):
    """The request makes no sense, whatever the data."""


class InvalidContext(ProblemError):
    """A request-time feature is missing, mistyped, out of range or unknown."""


class InvalidKey(ProblemError):
    """The key does not have the model's shape."""


class UnknownModel(ProblemError):
    """The project has no such model."""


class FeatureMissing(ProblemError):
    """A row, field or number that the model cannot do without is missing."""


class CannotCompute(ProblemError):
    """The model cannot be computed for this."""


class BudgetExceeded(ProblemError):
    """No answer within the time that was given."""


class NothingPublished(ProblemError):
    """No version of the variant has been published yet."""


class Unavailable(ProblemError):
    """Not now; it may succeed in a moment."""


class Overloaded(Unavailable):
    """The edge sheds load."""


_BY_NAME: dict[str, type[ProblemError]] = {
    "invalid-request": InvalidRequest,
    "body-too-large": InvalidRequest,
    "invalid-context": InvalidContext,
    "invalid-key": InvalidKey,
    "unknown-model": UnknownModel,
    "feature-missing": FeatureMissing,
    "cannot-compute": CannotCompute,
    "budget-exceeded": BudgetExceeded,
    "unavailable": Unavailable,
    "overloaded": Overloaded,
    "withdrawn": Unavailable,
    "model-unavailable": Unavailable,
    "unknown-encoding": InvalidRequest,
    "nothing-published": NothingPublished,
}
#: Of answers that others gave: balancers and proxies.
_BY_STATUS: dict[int, type[ProblemError]] = {429: Unavailable, 502: Unavailable, 503: Unavailable, 504: Unavailable}


def problem_error(problem: Problem, retry_after_s: float | None = None) -> ProblemError:
    """The error of a problem, by its type; by its status, where the type is none of ours."""
    kind = _BY_NAME.get(problem.name) or _BY_STATUS.get(problem.status, ProblemError)
    return kind(problem, retry_after_s)
