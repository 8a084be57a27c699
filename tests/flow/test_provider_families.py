"""Each provider family by its row: real SDKs call, and the provider sees its own paths and key."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web

from sidecar.config.families import FAMILIES
from sidecar.demo.provider import DemoProvider
from sidecar.domain.call import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, DialectName
from tests.support.in_process import running_app
from tests.support.sdk_matrix import (
    ARGUMENTS,
    CHAT_TOOL,
    MESSAGES_TOOL,
    RESPONSES_TOOL,
    answer,
    hello,
)
from tests.support.sdks import Sdks, open_sdks

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
ROWS = [name for name, row in FAMILIES.items() if not row.is_router]
SPOKEN = [
    (name, model, dialect)
    for name in ROWS
    for model in ("gpt-4o", "claude-demo")
    for dialect in FAMILIES[name].spoken_by(model)
    if model == "gpt-4o" or FAMILIES[name].claude_dialects
]


class Recorder(DemoProvider):
    """A provider that remembers where it was asked, and with which key."""

    fails_on_request = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one request."""
        keys = {name: request.headers[name] for name in KEY_HEADERS if name in request.headers}
        self.asked = (request.path_qs, keys)
        return await super().handle(request)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[Recorder]:
    async with Recorder() as provider:
        yield provider


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sdks(provider: Recorder, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sdks]:
    entries = [
        {
            "model": f"{name}/*",
            "access_key": "sk-1",
            "base_url": f"{provider.url}{FAMILIES[name].base_path}",
        }
        for name in ROWS
    ]
    folder = tmp_path_factory.mktemp("families")
    async with (
        running_app({"model_providers": entries}, folder) as app,
        open_sdks(f"http://127.0.0.1:{app.ports.data}", "async") as sdks,
    ):
        yield sdks


def _expected(name: str, model: str, dialect: DialectName) -> tuple[str, dict[str, str]]:
    """Path and key as the row has them."""
    row = FAMILIES[name]
    header, _, value = row.credential_for(dialect).line("sk-1").rstrip().partition(": ")
    path = row.paths(row.base_path, "").by_dialect[dialect].replace("{model}", model)
    return path, {header.lower(): value}


async def _call(sdks: Sdks, dialect: str, name: str) -> None:
    """Make the calls of one dialect: whole, streamed, with a tool."""
    words = answer(name.partition("/")[2])
    if dialect == CHAT:
        create = sdks.openai.chat.completions.create
        reply = await create(**hello(name))
        assert words == reply.choices[0].message.content
        chunks = await sdks.events(create, **hello(name))
        assert words == "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        call = (await create(**hello(name, tools=[CHAT_TOOL]))).choices[0].message.tool_calls[0]
        assert ARGUMENTS == json.loads(call.function.arguments)
    elif dialect == RESPONSES:
        create = sdks.openai.responses.create
        assert words == (await create(model=name, input="Hello")).output_text
        events = await sdks.events(create, model=name, input="Hello")
        assert "response.completed" == events[-1].type
        reply = await create(model=name, input="Hello", tools=[RESPONSES_TOOL])
        assert ARGUMENTS == json.loads(reply.output[0].arguments)
    elif dialect == MESSAGES:
        create = sdks.anthropic.messages.create
        assert words == (await create(**hello(name, max_tokens=99))).content[0].text
        events = await sdks.events(create, **hello(name, max_tokens=99))
        assert "message_stop" == events[-1].type
        reply = await create(**hello(name, max_tokens=99, tools=[MESSAGES_TOOL]))
        assert [ARGUMENTS] == [each.input for each in reply.content if each.type == "tool_use"]
    else:
        assert EMBEDDINGS == dialect
        assert 1 == len((await sdks.openai.embeddings.create(model=name, input="Hello")).data)


@pytest.mark.parametrize(("name", "model", "dialect"), SPOKEN)
async def test_a_family_is_called_as_its_row_says(sdks, provider, name, model, dialect):
    """Whole, streamed and with tools, at its own path, with its key and no other."""
    await _call(sdks, dialect, f"{name}/{model}")
    assert _expected(name, model, dialect) == provider.asked
