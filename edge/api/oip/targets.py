"""Which model, version and variant a request means."""

from __future__ import annotations

import asyncio

from edge.api.oip.shapes import Parameters
from edge.serving import Serving
from precompute.errors import DeadlineExceeded, InvalidRequest
from precompute.models import AUTO
from precompute.predictor import Predictor, Servable


def named_variant(parameters: Parameters) -> str | None:
    """The variant among the parameters. Raises InvalidRequest: it is no name."""
    variant = parameters.get("variant")
    if variant is not None and not isinstance(variant, str):
        raise InvalidRequest("parameter 'variant' must be a string")
    return variant


def chosen_predictor(
    serving: Serving, model: str, version: str | None, parameters: Parameters | None = None
) -> Predictor:
    """The predictor of a version of the path, or else of the variant among the parameters, or else the default.

    Raises:
        UnknownModel, UnknownVersion, VersionMissing, Withdrawn: there is none.
        InvalidRequest: no number, no such variant, or a version of another variant.
    """
    variant = named_variant(parameters or {})
    if variant == AUTO:
        # Which one answers in time is known of keys only.
        variant = None
    if version is None:
        return serving.predictor(model, variant)
    serving.project.model(model)
    if not (version.isascii() and version.isdigit() and len(version) <= 18):
        raise InvalidRequest(f"version {version!r:.40} is no number")
    found = serving.version(model, int(version))
    if variant not in (None, found.servable.variant):
        raise InvalidRequest(f"version {version} is one of variant {found.servable.variant!r}, not {variant!r:.80}")
    return found


async def known(serving: Serving, predictor: Predictor, until: float) -> Servable:
    """A predictor's servable with its signature, for which a model that never was is loaded.

    Raises:
        DeadlineExceeded: that takes until after `until`, by the event loop's time; it goes on for whoever comes next.
        ModelUnavailable: it could not be loaded.
    """
    try:
        async with asyncio.timeout_at(until):
            return await serving.known(predictor)
    except TimeoutError:
        model = predictor.servable.model.name
        raise DeadlineExceeded(f"model {model!r} is being loaded, which takes longer than the budget") from None
