"""What a trace says of a request."""

from __future__ import annotations

import pytest

from edge.tracing import is_recorded, route_of


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/predict/late/F1:EWR", "/v1/predict/{model}/{key}"),
        ("/v1/predict/late/", "/v1/predict/{model}/{key}"),
        ("/v1/predict/late", "/v1/predict/{model}"),
        ("/v1/why/late/F1:EWR", "/v1/why"),
        ("/v1/invalidate", "/v1/invalidate"),
    ],
)
def test_a_route_is_a_path_without_what_was_asked_for(path: str, route: str) -> None:
    """So that spans have few names."""
    assert route_of(path) == route


@pytest.mark.parametrize(
    ("traceparent", "recorded"),
    [
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", True),
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", False),
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-", False),
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-xy", False),
        (b"", False),
    ],
)
def test_flags_say_whether_a_trace_is_recorded(traceparent: bytes, recorded: bool) -> None:
    """The last bit of them; whatever else comes is no trace."""
    assert is_recorded(traceparent) is recorded
