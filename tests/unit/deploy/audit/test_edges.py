"""Tests of how an audit asks."""

from __future__ import annotations

from contextlib import closing

import pytest

from deploy.audit.edges import EdgeClient, target
from precompute.context import ContextField
from precompute.errors import ConfigError
from precompute.models import Model, Variant, dependency

KEY = ("user", "shop")
CONTEXT = (ContextField("city", "string"), ContextField("vip", "bool"))
MODEL = Model("next buy", KEY, (dependency("user", "{user}", KEY),), (), {"default": Variant("default")}, "default")
ASKED = Model(MODEL.name, KEY, MODEL.dependencies, (), MODEL.variants, "default", CONTEXT)


def test_a_key_is_a_path() -> None:
    """What a URL cannot hold is percent-encoded, and what it can stays readable."""
    assert target(MODEL, MODEL.parse_key("u~201:caf\u00e9")) == "/v1/predict/next%20buy/u~201:caf%C3%A9"


def test_context_goes_into_the_query_as_a_client_would_write_it() -> None:
    """Keys spell context in their own way, which no client needs to know."""
    key = ASKED.parse_key("u1:s1", {"city": "New York/3", "vip": True})

    assert target(ASKED, key) == "/v1/predict/next%20buy/u1:s1?city=New+York%2F3&vip=true"


@pytest.mark.parametrize("url", ["edge:8300", "redis://edge", "http://"])
def test_what_is_no_url_of_an_edge_is_refused(url: str) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigError, match="http://host:port"):
        EdgeClient(url)


def test_an_edge_that_is_not_there_gives_no_answer() -> None:
    """That is an observation, not an error."""
    with closing(EdgeClient("http://127.0.0.1:1")) as client:
        answer, lag_s = client.ask(MODEL, MODEL.parse_key("u1:s1")), client.lag_s()

    assert (answer.status, lag_s) == (0, None)
