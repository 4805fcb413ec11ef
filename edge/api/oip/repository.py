"""The repository: what there is to serve, and taking a model out of this node's service and back.

Unloading says: this node does not answer for the model. All its processes read that from Redis, and so do those that
take their place; other nodes go on. Its sessions are freed, and whoever asks gets `503`, by whichever door. Publishing
and activating versions is the registry's business and goes on meanwhile; loading brings in what is active by then.
"""

from __future__ import annotations

import asyncio

from edge.api.oip.shapes import ModelState
from edge.link import Link
from edge.serving import Serving
from precompute.errors import DeadlineExceeded, ModelRejected
from precompute.predictor import Predictor
from precompute.store import checked
from precompute.withdrawals import restore_commands, withdraw_commands

_READY, _LOADING, _UNAVAILABLE = "READY", "LOADING", "UNAVAILABLE"
#: How long what was said may take to come back by way of the replica, and a model to load.
_WITHIN_S = 60.0
_LOOK_S = 0.02


class Repository:
    """What one node serves."""

    def __init__(self, serving: Serving, primary: Link, node: str) -> None:
        self._serving = serving
        self._primary = primary
        self._node = node

    def index(self, *, ready: bool) -> list[ModelState]:
        """Every version that is ready, being loaded or failed to load, and every model without any."""
        states = [state for model in self._serving.project.models for state in self._states(model)]
        return [state for state in states if state.state == _READY] if ready else states

    def _states(self, model: str) -> list[ModelState]:
        serving = self._serving
        if model in serving.withdrawn:
            return [ModelState(model, _UNAVAILABLE, reason="unloaded")]
        states = [ModelState(model, _READY, str(version)) for version in serving.ready(model)]
        states += [ModelState(model, _LOADING, str(version)) for version in serving.loading(model)]
        states += [
            ModelState(model, _UNAVAILABLE, str(version), reason)
            for (name, version), reason in serving.failures.items()
            if name == model
        ]
        return states or [ModelState(model, _UNAVAILABLE, reason="nothing published")]

    async def unload(self, model: str) -> ModelState:
        """Takes a model out of this node's service.

        Raises:
            UnknownModel: not in this project.
            StoreUnavailable: the primary is away; nothing has changed.
            DeadlineExceeded: said, but not yet seen here.
        """
        self._serving.project.model(model)
        for reply in await self._primary.run(withdraw_commands(self._node, model)):
            checked(reply)
        await self._seen(model, withdrawn=True)
        return ModelState(model, _UNAVAILABLE, reason="unloaded")

    async def load(self, model: str) -> ModelState:
        """Puts it back, and waits until it answers. One that was never taken out is looked for as well.

        Raises:
            ModelRejected: what is active does not load.
            VersionMissing: nothing is published for its default variant.
            And as `unload`.
        """
        self._serving.project.model(model)
        for reply in await self._primary.run(restore_commands(self._node, model)):
            checked(reply)
        await self._seen(model, withdrawn=False)
        failed = [reason for (name, _), reason in self._serving.failures.items() if name == model]
        if failed:
            raise ModelRejected(f"model {model!r}: {failed[0]}")
        predictor = self._serving.predictor(model)
        await self._loaded(predictor)
        return ModelState(model, _READY, str(predictor.servable.version))

    async def _loaded(self, predictor: Predictor) -> None:
        try:
            async with asyncio.timeout(_WITHIN_S):
                await self._serving.awake(predictor)
        except TimeoutError:
            raise DeadlineExceeded(f"model {predictor.servable.model.name!r} is still being loaded") from None

    async def _seen(self, model: str, *, withdrawn: bool) -> None:
        """Looks until this process has read what was said."""
        try:
            async with asyncio.timeout(_WITHIN_S):
                await self._serving.refresh()
                while (model in self._serving.withdrawn) is not withdrawn:
                    await asyncio.sleep(_LOOK_S)
                    await self._serving.refresh()
        except TimeoutError:
            raise DeadlineExceeded(f"model {model!r}: said to the primary, but this node has not seen it yet") from None
