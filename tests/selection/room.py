"""The room of selection with everything real but the router model: for its own tests."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from sidecar.affinity.memory import MemoryStore
from sidecar.affinity.session import session_of
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import BodyFacts, Call
from sidecar.domain.decision import Binding, Candidate, Route
from sidecar.domain.events import AffinityOperation, Event, Listeners, PinRead, RouterAsked
from sidecar.domain.ids import Session
from sidecar.domain.observers import Observers
from sidecar.routing.preferences import RankSources, Routes, RouteScope
from sidecar.routing.router import RouteClassifier, RouterPolicy
from sidecar.routing.router_breaker import RouterBreaker
from sidecar.routing.table import ModelTable
from sidecar.selection.decisions import Decisions
from sidecar.selection.fitting import Fitting
from sidecar.selection.path_selector import PathSelector
from sidecar.selection.selector import ModelSelector, OtherCalls
from sidecar.upstream.evidence import Activity, Suspicion
from tests.support.providers import a_provider
from tests.support.translations import BodyRoomOf, PlainReader
from tests.support.values import FakeClock, a_call

GPT, MINI, CLAUDE = "openai/gpt-4o", "openai/gpt-4o-mini", "anthropic/claude"
GONE = "openai/gone"
LLAMA = "groq/llama"
"""A group: an account in the EU and one in the US, and a fallback."""
TABLE = ModelTable(
    (
        a_provider(GPT, fallbacks=(MINI,), is_default=True),
        a_provider(MINI),
        a_provider(CLAUDE, by_dialect={"messages": "/v1/messages"}),
        a_provider(LLAMA, name="eu", fallbacks=(MINI,)),
        a_provider(LLAMA, name="us"),
        a_provider("mistral/*", by_dialect={"responses": "/v1/responses"}),
    ),
    {"smart": GPT},
)
CODE = Route("code", "writing code", (*TABLE.entries_of(GPT), *TABLE.entries_of(MINI)))
TALK = Route("talk", "small talk", TABLE.entries_of(CLAUDE))
EU, US = TABLE.entries_of(LLAMA)
CHAT_PATH, MESSAGES_PATH = "/v1/chat/completions", "/v1/messages"
COUNT_PATH, EMBED_PATH = "/v1/messages/count_tokens", "/v1/embeddings"
HELLO = [{"role": "user", "content": "hello"}]
GOES_ON = [*HELLO, {"role": "assistant", "content": "hi"}, *HELLO]


def asked(
    path: str = CHAT_PATH,
    model: str = GPT,
    messages: list[dict[str, Any]] = HELLO,
    session_id: str | None = "s1",
    **facts: Any,
) -> Call:
    """A call of a session, with a conversation."""
    endpoint = DIALECTS.endpoints[path]
    body = json.dumps({"model": model, "messages": messages}).encode()
    conversation = DIALECTS.by_name[endpoint.dialect].peek(body).conversation
    return a_call(
        endpoint=endpoint,
        body=body,
        facts=BodyFacts(requested_model=model, conversation=conversation, **facts),
        session_id=session_id,
    )


def a_pin(model: str = GPT, lane: str = GPT, **more: Any) -> Binding:
    """A pin of now."""
    fields = {"route_name": "code", "generation": 1, "bound_at_unix_s": FakeClock().unix_s()}
    return Binding(model, requested_model=lane, **{**fields, **more})


def inline(*models: str) -> bytes:
    """A body's own list with one route."""
    return json.dumps([{"name": "own", "description": "own", "models": models}]).encode()


class Room:
    """Everything that a selector needs; the router model names ``route`` in its reply."""

    def __init__(
        self,
        *,
        is_routed: bool = True,
        routes: tuple[Route, ...] = (CODE, TALK),
        is_observed: bool = True,
        store: MemoryStore | None = None,
        table: ModelTable = TABLE,
    ) -> None:
        self.clock = FakeClock()
        self.events: list[Event] = []
        self.observers = Observers([self] if is_observed else [])
        fresh = MemoryStore(self.clock, ttl_s=60, max_entries=9)
        self.store = fresh if store is None else store
        self.cooling: set[Candidate] = set()
        self.may_ask = True
        self.route: object = "code"
        self.status = 200
        self.reply_takes_s = 0.0
        self.questions = 0
        self.reader = PlainReader()
        sources = RankSources(
            SimpleNamespace(prices={}, latencies_s={}), lambda _candidate, _now_s: (0.0, 0)
        )
        self.routes = Routes(routes, table.entries_of, sources, RouteScope(is_routed))
        self.decisions = Decisions(
            table,
            self.routes,
            self.clock,
            self.cooling.__contains__,
            lambda _now_s: self.may_ask,
            DIALECTS,
        )
        policy = RouterPolicy("m", 5.0, 8192)
        classifier = RouteClassifier(
            self.reply,
            self.routes.configured,
            policy,
            self.clock.monotonic_s,
            DIALECTS.turns_of,
            RouterBreaker(Suspicion(Activity())),
        )
        self.selector = ModelSelector(
            self.decisions,
            classifier if is_routed else None,
            self.store,
            self.clock,
            self.observers,
            OtherCalls(
                PathSelector(table.owners, self.store, self.clock, self.observers),
                Fitting(self.reader.load, BodyRoomOf()),
            ),
        )

    def listeners(self) -> Listeners:
        return dict.fromkeys((AffinityOperation, PinRead, RouterAsked), self.events.append)

    async def reply(self, _body: bytes, _call: Call) -> tuple[int, bytes]:
        """What the router model says."""
        self.questions += 1
        self.clock.advance(self.reply_takes_s)
        text = json.dumps({"route": self.route})
        return self.status, json.dumps({"choices": [{"message": {"content": text}}]}).encode()

    def session(self, call: Call, lane: str = GPT) -> Session:
        session = session_of(call, lane)
        assert session is not None
        return session
