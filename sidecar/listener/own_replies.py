"""Requests that the sidecar replies to itself: probes, the list of models, and what would become of
a call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import unquote

import msgspec

from sidecar.dialects.registry import ModelInfo, model_body, models_body
from sidecar.domain.call import Call
from sidecar.domain.decision import Decision, Source
from sidecar.listener.admission import RequestHead
from sidecar.listener.paths import MODELS
from sidecar.listener.response_writer import ResponseWriter
from sidecar.routing.table import ModelTable
from sidecar.wire.own_headers import decision_lines, models_lines, probe_lines


class OwnReplies:
    """Writes the sidecar's own replies.

    Args: ``decide`` is `Proxy.decide`.
    """

    def __init__(self, decide: Callable[[Call], Awaitable[Decision]], models: ModelTable) -> None:
        self._decide = decide
        self._models = models

    def send_probe(self, head: RequestHead, down: ResponseWriter) -> None:
        """Tell an agent that its gateway is there."""
        down.send_whole(200, probe_lines(head.request_id), b"")

    def send_models(self, head: RequestHead, down: ResponseWriter) -> None:
        """Send the list of models and aliases, or the description of the one that the path names.

        Raises: ModelNotFound.
        """
        wanted = unquote(head.path[len(MODELS) + 1 :])
        if wanted:
            listed = self._models.describe(wanted)
            body = model_body(ModelInfo(listed.name, listed.owner))
        else:
            body = models_body(
                [ModelInfo(listed.name, listed.owner) for listed in self._models.listed]
            )
        down.send_whole(200, models_lines(head.request_id), body)

    async def send_decision(self, call: Call, down: ResponseWriter) -> None:
        """Send what would become of a call, as JSON; the call goes nowhere. The first model is the
        choice; the provider entry of each is the one that is tried first.

        Raises: SidecarError where the call could not be decided.
        """
        down.is_call = False
        decision = await self._decide(call)
        entries: dict[str, str] = {}
        for each in decision.candidates:
            entries.setdefault(each.model_name, each.provider)
        reply: dict[str, object] = {
            "models": list(entries),
            "providers": list(entries.values()),
            "route": decision.route_name,
            "trace_id": call.trace.trace_id,
            "pinned": decision.source is Source.PINNED,
            "source": decision.source.value,
        }
        if call.session_id is not None:
            reply["session_id"] = call.session_id
        down.send_whole(200, decision_lines(call.request_id), msgspec.json.encode(reply))
