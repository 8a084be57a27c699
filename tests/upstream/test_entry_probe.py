"""The questions that cost little or nothing, as a provider gets them."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from sidecar.config.families import FAMILIES
from sidecar.config.secret import Secret
from sidecar.dialects.registry import DIALECTS
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES
from sidecar.domain.errors import UpstreamMalformed, UpstreamReset
from sidecar.domain.vocabulary import FailureClass
from sidecar.http1.origin import Origin
from sidecar.http1.pool import Pool
from sidecar.upstream.client import ProviderClient
from sidecar.upstream.entry_probe import EntryProbe
from tests.support.faults import Fault
from tests.support.providers import a_provider
from tests.support.scripted_provider import ScriptedProvider


class Probed:
    """A provider, and probes of entries at it."""

    def __init__(self, provider: ScriptedProvider) -> None:
        self.provider = provider
        self.pool = Pool(Origin("http", "127.0.0.1", int(provider.url.rpartition(":")[2])))

    def probe(self, model: str = "openai/gpt-4o", **changes: Any) -> EntryProbe:
        client = ProviderClient(a_provider(model, **changes), self.pool, DIALECTS.by_name)
        return EntryProbe(client, time.monotonic, time.time)

    @property
    def last(self) -> dict[str, str]:
        """Method, path and headers of the newest request, names in lower case."""
        record = self.provider.requests[-1]
        headers = {name.decode().lower(): value.decode() for name, value in record.headers}
        return {"": f"{record.method} {record.path}{record.query}", **headers}


@pytest_asyncio.fixture
async def probed(scripted_provider: ScriptedProvider) -> AsyncIterator[Probed]:
    made = Probed(scripted_provider)
    yield made
    await made.pool.aclose()


async def test_a_list_is_asked_for_as_a_call_would_be(probed):
    """With the entry's key and headers, and nothing of a body."""
    probe = probed.probe(headers=(("x-team", Secret("blue")),))
    reply = await probe.list_models()

    last = probed.last
    assert ("GET /v1/models", "Bearer sk-provider", "blue") == (
        last[""], last["authorization"], last["x-team"],
    )  # fmt: skip
    assert "content-length" not in last
    assert (200, None) == (reply.status, reply.failure)
    assert b"gpt-4o-mini" in reply.body


async def test_anthropics_list_gets_key_and_version(probed):
    """In its own headers."""
    await probed.probe("anthropic/claude-demo").list_models()

    assert ("sk-provider", "2023-06-01") == (
        probed.last["x-api-key"], probed.last["anthropic-version"],
    )  # fmt: skip


async def test_without_the_key_no_credential_goes_out(probed):
    """Configured headers may hold one as well."""
    probe = probed.probe(headers=(("x-team", Secret("blue")),))
    await probe.list_models(with_key=False)

    assert not {"authorization", "x-team"} & probed.last.keys()


async def test_a_model_is_asked_for_by_its_whole_name(probed):
    """A slash in it is no path."""
    await probed.probe("vllm/meta/llama").show_model("meta/llama")

    assert "GET /v1/models/meta%2Fllama" == probed.last[""]


@pytest.mark.parametrize(
    ("model", "path", "members"),
    [
        ("openai/gpt-4o", "/v1/chat/completions", {"max_tokens": 1, "model": "gpt-4o"}),
        ("openai/text-embedding-3-small", "/v1/embeddings", {"input": "ping"}),
        ("anthropic/claude-demo", "/v1/messages", {"max_tokens": 1, "model": "claude-demo"}),
    ],
)
async def test_the_smallest_call_is_in_a_dialect_of_the_entry(probed, model, path, members):
    """And is served like any other."""
    probe = probed.probe(model)
    reply = await probe.generate(probe.provider.model_id)
    body = json.loads(probed.provider.requests[-1].body)

    assert (200, None, path) == (
        reply.status,
        reply.failure,
        probe.path_for(probe.provider.model_id),
    )
    assert members.items() <= body.items()
    assert f"POST {path}" == probed.last[""]


async def test_an_entry_that_speaks_nothing_known_says_so(probed):
    """Then there is no call to make."""
    assert not probed.probe(by_dialect={}).speaks
    assert probed.probe(by_dialect={EMBEDDINGS: "/v1/embeddings"}).speaks
    await probed.probe(by_dialect={}).list_models()


async def test_deployments_are_named_in_the_path(probed):
    """A list does not say which there are."""
    azure = FAMILIES["azure_openai"].paths("", "")
    paths = {CHAT: azure.by_dialect[CHAT]}

    assert probed.probe("azure_openai/gpt-4o", by_dialect=paths).is_model_in_path
    assert not probed.probe(by_dialect={MESSAGES: "/v1/messages"}).is_model_in_path


async def test_a_refusal_means_what_it_means_to_a_call(probed):
    """With what operators are told of it."""
    probed.provider.script.next("401")
    reply = await probed.probe().generate("gpt-4o")

    assert (401, FailureClass.OUR_CREDENTIAL) == (reply.status, reply.failure)
    assert reply.report is not None
    assert ("credential refused", "invalid_api_key") == (reply.report.cause, reply.report.code)


async def test_an_error_inside_a_200_is_a_refusal(probed):
    """As gateways write it."""
    body = b'{"error": {"code": 429, "message": "Provider returned error"}}'
    probed.provider.script.next(Fault(body=body))
    reply = await probed.probe().generate("gpt-4o")

    assert (200, FailureClass.BUSY) == (reply.status, reply.failure)


@pytest.mark.parametrize(
    "fault", [Fault(status=302, body=b"{}"), Fault(body=b"<html>Sign in</html>")]
)
async def test_a_page_or_a_redirect_is_no_reply(probed, fault):
    """No call could be served by it."""
    probed.provider.script.next(fault)

    with pytest.raises(UpstreamMalformed):
        await probed.probe().generate("gpt-4o")


async def test_a_list_without_end_is_none(probed):
    """It is given up behind 8 MiB."""
    probed.provider.script.next(Fault(body=b"[" + b" " * (9 << 20) + b"]"))

    assert b"" == (await probed.probe().list_models()).body


async def test_a_connection_is_opened_ahead_and_used(probed):
    """Plain HTTP has nothing to say of TLS."""
    probe = probed.probe()
    assert await probe.connect() is None
    await probe.list_models()

    assert (1, True) == (probed.pool.opened_total, probe.has_credential)


async def test_a_server_that_hangs_up_is_reported_like_a_calls_failure(probed):
    """In the same words."""
    probe = probed.probe()
    probed.provider.script.next("cut")
    with pytest.raises(UpstreamReset) as raised:
        await probe.list_models()

    assert "connection closed before a response" == probe.report(raised.value).cause
