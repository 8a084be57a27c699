"""Asks one provider entry what costs little or nothing, in the way in which calls ask it: for an
operator who wants to know whether calls would be served.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import msgspec

from sidecar.dialects.base import Dialect
from sidecar.domain.call import BodyFacts, Call, Endpoint, Operation
from sidecar.domain.decision import Candidate
from sidecar.domain.errors import UpstreamError, UpstreamMalformed, UpstreamRedirects
from sidecar.domain.failure_report import FailureReport
from sidecar.domain.ids import mint_request_id, mint_trace_context
from sidecar.domain.vocabulary import FailureClass
from sidecar.http1.certificate import TlsFacts
from sidecar.upstream.buffered_reply import BufferedReply, read_whole
from sidecar.upstream.client import ProviderClient
from sidecar.upstream.failure import (
    Failure,
    classify_body_error,
    classify_error,
    classify_reply,
)
from sidecar.upstream.failure_report import HowItFailed, report_failure

NO_SUCH_MODEL: Final = "no-such-model"
"""Asked for where an entry serves any model of a provider: a key that is refused is refused for it
too, and it costs nothing.
"""
_LIST_PATH: Final = "/v1/models"
_LIST_BYTES: Final = 8 * 1024 * 1024
_EMBEDS: Final = "embed"
"""What the names of models that embed contain."""


class ProbeReply(msgspec.Struct, frozen=True):
    """What came of one question."""

    status: int
    body: bytes = b""
    """Of a reply that is no error."""
    failure: FailureClass | None = None
    """What the reply means to a call; None for one that serves it."""
    report: FailureReport | None = None
    """What operators are told of the failure."""


class EntryProbe:
    """Asks one provider entry. Every question raises UpstreamError where no reply comes."""

    def __init__(
        self,
        client: ProviderClient,
        monotonic_s: Callable[[], float],
        unix_s: Callable[[], float],
    ) -> None:
        self._client = client
        self._monotonic_s = monotonic_s
        self._unix_s = unix_s
        provider = client.provider
        bare = msgspec.structs.replace(provider, access_key=None, headers=())
        self._without_key = ProviderClient(bare, client.pool, client.dialects)
        self.provider = provider
        self.account = (client.pool, client.header_lines.own, provider.paths.base)
        """What entries have in common that are asked once together."""
        self.has_credential = bool(client.header_lines.own)

    @property
    def is_model_in_path(self) -> bool:
        """Whether the entry's calls name the model in their path, as deployments are named: then a
        list of models does not say which of them can be called.
        """
        return self.provider.has_model_in_path

    @property
    def speaks(self) -> bool:
        """Whether the entry speaks a dialect that is known, so that it can be called at all."""
        return not self._client.dialects.keys().isdisjoint(self.provider.paths.by_dialect)

    def path_for(self, model: str) -> str:
        """Return the path of the smallest call for a model, as the config has it."""
        return self.provider.paths.by_dialect[self._dialect(model).name]

    async def connect(self) -> TlsFacts | None:
        """Open the connection over which the next question is asked."""
        return await self._client.pool.prepare(self._client.timeouts(is_stream=False))

    async def list_models(self, *, with_key: bool = True) -> ProbeReply:
        """Ask for the list of models."""
        return await self._ask(self._call(_LIST_PATH), with_key=with_key)

    async def show_model(self, model: str) -> ProbeReply:
        """Ask for one model of the list."""
        return await self._ask(self._call(f"{_LIST_PATH}/{quote(model, safe='')}"))

    async def generate(self, model: str) -> ProbeReply:
        """Make the smallest call that there is, which may cost a token or two."""
        dialect = self._dialect(model)
        body = dialect.least_request()
        endpoint = dialect.endpoints[0]
        call = self._made(endpoint, "POST", body, dialect.peek(body))
        return await self._ask(call, model, dialect)

    def may_ask_usage(self, model: str) -> bool:
        """Return whether streams of a model tell their usage only where they are asked to, and so
        that it can be taken out again.
        """
        provider = self.provider
        is_asked_for = provider.conventions.tells_usage_if_asked
        if not self.speaks or not is_asked_for or provider.accept_encoding_passthrough:
            return False
        return self._dialect(model).stream.usage_option is not None

    async def tells_usage(self, model: str) -> bool | None:
        """Make the smallest streamed call, which asks for its usage; it may cost a token or two.

        Returns: whether the usage came in an event of its own; None where that was not to be seen.
        """
        dialect, client = self._dialect(model), self._client
        option = dialect.stream.usage_option
        body = dialect.least_request().replace(b"{", b'{"stream":true,', 1)
        call = self._made(dialect.endpoints[0], "POST", body, dialect.peek(body))
        facts = None if option is None else option.ask(body, call.facts)
        if option is None or facts is None:
            return None
        asking = dataclasses.replace(call, facts=facts)
        head, pieces = client.request(asking, self._candidate(model))
        reply = await client.pool.send(head, pieces, client.timeouts(is_stream=True), call.method)
        buffered = BufferedReply(reply)
        if reply.status >= 300:
            await buffered.fill()
            refusal = buffered.readable
            buffered.abort()
            return False if any(name in refusal for name in option.names) else None
        lines = (await read_whole(buffered, _LIST_BYTES)).splitlines()
        return any(option.is_beside(line[5:]) for line in lines if line.startswith(b"data:"))

    def report(self, error: UpstreamError) -> FailureReport:
        """Return what operators are told where no reply came."""
        return report_failure(classify_error(error), self.provider, error)

    def _dialect(self, model: str) -> Dialect:
        """Return in which of the entry's dialects a model is asked."""
        dialects = self._client.dialects
        spoken = [dialects[name] for name in self.provider.paths.by_dialect if name in dialects]
        wanted = Operation.EMBED if _EMBEDS in model.lower() else Operation.GENERATE
        fitting = [each for each in spoken if each.endpoints[0].operation is wanted]
        return (fitting or spoken)[0]

    def _call(self, path: str) -> Call:
        # In the name of the entry's first dialect, whose version the list may need.
        dialect = next(iter(self.provider.paths.by_dialect or self._client.dialects))
        return self._made(Endpoint(path, dialect, Operation.PASSTHROUGH), "GET", b"", BodyFacts())

    def _made(self, endpoint: Endpoint, method: str, body: bytes, facts: BodyFacts) -> Call:
        return Call(
            endpoint=endpoint,
            method=method,
            query="",
            headers={"common": (b"Content-Type: application/json\r\n",)} if body else {},
            body=body,
            facts=facts,
            request_id=mint_request_id(),
            trace=mint_trace_context(),
            admitted_s=self._monotonic_s(),
        )

    def _candidate(self, model: str) -> Candidate:
        provider = self.provider
        return Candidate(
            provider.name,
            provider.model,
            model,
            provider.model,
            frozenset(provider.paths.by_dialect),
            provider.passthrough_auth,
        )

    async def _ask(
        self,
        call: Call,
        model: str = "",
        dialect: Dialect | None = None,
        *,
        with_key: bool = True,
    ) -> ProbeReply:
        client = self._client if with_key else self._without_key
        provider = self.provider
        head, pieces = client.request(call, self._candidate(model))
        timeouts = client.timeouts(is_stream=False)
        reply = await client.pool.send(head, pieces, timeouts, method=call.method)
        if reply.status >= 400:
            buffered = BufferedReply(reply)
            await buffered.fill()
            refused = self._refused(buffered, model)
            buffered.abort()
            return refused
        body = await read_whole(reply, _LIST_BYTES)
        if reply.status >= 300:
            raise UpstreamRedirects("it redirects")
        if dialect is not None and not body.lstrip().startswith(b"{"):
            raise UpstreamMalformed("a page for a browser")
        if dialect is not None and dialect.is_error_response(body):
            failure = classify_body_error(body, passthrough_auth=provider.passthrough_auth)
            return self._failed(reply.status, failure, body)
        return ProbeReply(reply.status, body)

    def _refused(self, reply: BufferedReply, model: str) -> ProbeReply:
        failure = classify_reply(
            reply.status,
            reply.readable,
            reply.headers,
            self._unix_s(),
            passthrough_auth=self.provider.passthrough_auth,
            upstream_model=model,
        )
        return self._failed(reply.status, failure, reply)

    def _failed(self, status: int, failure: Failure, what: HowItFailed) -> ProbeReply:
        report = report_failure(failure, self.provider, what)
        return ProbeReply(status, failure=failure.failure_class, report=report)
