"""A client for applications: typed answers from an edge, with retries, deadlines and pooled connections.

    from edge.client import Client

    with Client("http://127.0.0.1:8300") as edge:
        answer = edge.predict("late", ("UA1545", "EWR"), context={"hour": 7}, deadline_s=0.05)
        print(answer.outputs["late"], answer.tier, answer.age_s, answer.stale)

It needs the extra `client`, and nothing of the server.
"""

from edge.client.attempts import Patience
from edge.client.awaited import AsyncClient
from edge.client.blocking import Client
from edge.client.calls import By
from edge.client.errors import ClientError, NotUnderstood, ProblemError, Unavailable, Unreachable
from edge.client.keys import KeyedBy
from edge.contract.answers import Answer, Failure, Place, Prediction, Problem, Ranking, Unranked

__all__ = [
    "Answer",
    "AsyncClient",
    "By",
    "Client",
    "ClientError",
    "Failure",
    "KeyedBy",
    "NotUnderstood",
    "Patience",
    "Place",
    "Prediction",
    "Problem",
    "ProblemError",
    "Ranking",
    "Unavailable",
    "Unranked",
    "Unreachable",
]
