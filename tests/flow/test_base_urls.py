"""An SDK whose base URL is not what it wants to be is told the one that it wants, with the port at
which it has called.
"""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from tests.support.net import exchange, json_request
from tests.support.sdks import open_sdks

pytestmark = pytest.mark.asyncio(loop_scope="module")
MESSAGES: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def root(shared_sidecar):
    return f"http://localhost:{shared_sidecar.data_port}"


async def test_openais_sdk_without_v1_is_told_to_add_it(shared_sidecar, root):
    """It asks for `/chat/completions`."""
    client = openai.AsyncOpenAI(base_url=shared_sidecar.data_url, api_key="k", max_retries=0)
    async with client:
        with pytest.raises(openai.NotFoundError) as caught:
            await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)

    assert f"as in {root}/v1, which makes /v1/chat/completions" in caught.value.message


async def test_anthropics_sdk_with_v1_is_told_to_leave_it_out(shared_sidecar, root):
    """It asks for `/v1/v1/messages`."""
    base_url = f"{shared_sidecar.data_url}/v1"
    async with anthropic.AsyncAnthropic(base_url=base_url, api_key="k", max_retries=0) as client:
        with pytest.raises(anthropic.NotFoundError) as caught:
            await client.messages.create(model="claude-demo", messages=MESSAGES, max_tokens=9)

    assert f"address alone, as in {root}, which makes /v1/messages" in caught.value.message


@pytest.mark.parametrize(
    ("path", "served"),
    [
        ("//v1/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/messages", "/v1/messages"),
        ("/chat/completions", "/v1/chat/completions"),
    ],
)
async def test_the_port_is_the_one_that_was_called(shared_sidecar, root, path, served):
    """Whatever the client calls this host."""
    reply = await exchange(shared_sidecar.data_port, json_request(path, {"model": "gpt-4o"}))

    assert 404 == reply.status
    assert root in reply.body.decode()
    assert f"which makes {served}" in reply.body.decode()


async def test_a_body_with_a_byte_order_mark_is_told_so(shared_sidecar):
    """PowerShell and spreadsheets write one."""
    body = b'\xef\xbb\xbf{"model":"gpt-4o"}'
    async with open_sdks(shared_sidecar.data_url, "async") as sdks:
        for path in ("/chat/completions", "/responses", "/embeddings"):
            with pytest.raises(openai.BadRequestError, match=r"byte order mark \(BOM"):
                await sdks.openai.post(path, cast_to=object, content=body)
        with pytest.raises(anthropic.BadRequestError, match=r"byte order mark \(BOM"):
            await sdks.anthropic.post("/v1/messages", cast_to=object, content=body)
