"""A sidecar that one app, or its bad luck, tries to steer: a provider for all models, a
router model, and calls of many sessions.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from tests.support.faults import Fault
from tests.support.in_process import running_app
from tests.support.net import RawReply, exchange, json_request
from tests.support.poison import ROUTE, TEXT
from tests.support.routed import CHAT
from tests.support.scripted_provider import ScriptedProvider, ScriptedRouterModel
from tests.support.sidecar_process import sidecar_config

FIREWALL: Final = Fault(
    status=403,
    body=b"<html><title>403 Forbidden</title>Blocked by policy</html>",
)
UNSUPPORTED: Final = Fault(
    status=400,
    body=json.dumps(
        {
            "error": {
                "message": "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead.",
                "type": "invalid_request_error",
                "param": "max_tokens",
                "code": "unsupported_parameter",
            }
        }
    ).encode(),
)


class Steered:
    """A sidecar, its provider and its router model. Routed calls go to `poison.GPT`, and
    ask for `poison.MINI`.
    """

    def __init__(self, port: int, provider: ScriptedProvider, router: ScriptedRouterModel) -> None:
        self.port = port
        self.provider = provider
        self.router = router

    async def ask(
        self, session_id: str | None, text: str = TEXT, timeout_ms: int | None = None, **more: Any
    ) -> RawReply:
        """Make a chat call. Returns: the reply, whatever it is."""
        headers = {} if session_id is None else {"x-model-affinity": session_id}
        if timeout_ms is not None:
            headers["x-plano-timeout-ms"] = str(timeout_ms)
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **more}
        return await exchange(self.port, json_request(CHAT, body, headers))


@contextlib.asynccontextmanager
async def steered_sidecar(work: Path) -> AsyncIterator[Steered]:
    """Start all of it; its files are in ``work``."""
    async with contextlib.AsyncExitStack() as stack:
        provider = await stack.enter_async_context(ScriptedProvider(record=16))
        router = await stack.enter_async_context(ScriptedRouterModel(record=16))
        config = sidecar_config(
            provider.url,
            routing_preferences=[ROUTE],
            overrides={"llm_routing_model": "plano/router"},
            # A router model that a busy machine is late for would let calls fall back.
            routing={"router_timeout_ms": 20_000},
        )
        config["model_providers"].append({"model": "plano/router", "base_url": router.url})
        app = await stack.enter_async_context(running_app(config, work))
        yield Steered(app.ports.data, provider, router)
