"""A config file with wildcards alone: any model of each provider, by its bare id too."""

from __future__ import annotations

import openai
import pytest
import pytest_asyncio

from tests.support.in_process import running_app
from tests.support.sdks import KINDS, open_sdks
from tests.support.sidecar_process import sidecar_config

pytestmark = pytest.mark.asyncio(loop_scope="module")
MESSAGES = [{"role": "user", "content": "Hello"}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sidecar(shared_provider, tmp_path_factory):
    entry = {"base_url": shared_provider.url, "access_key": "k"}
    wildcards = [{"model": f"{family}/*", **entry} for family in ("groq", "openai", "anthropic")]
    config = sidecar_config(shared_provider.url, model_providers=wildcards, passthrough=[])
    del config["model_aliases"]
    async with running_app(config, tmp_path_factory.mktemp("wildcards")) as app:
        yield f"http://127.0.0.1:{app.ports.data}"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_bare_id_goes_to_who_made_the_api(sidecar, kind):
    """As without a config file: OpenAI's SDK to openai, Anthropic's to anthropic; a full name goes
    where it says.
    """
    async with open_sdks(sidecar, kind) as sdks:
        chat = sdks.openai.chat.completions.with_raw_response.create
        messages = sdks.anthropic.messages.with_raw_response.create
        replies = [
            await sdks.call(chat, model="gpt-4o", messages=MESSAGES),
            await sdks.call(chat, model="groq/llama-3", messages=MESSAGES),
            await sdks.call(messages, model="claude-demo", messages=MESSAGES, max_tokens=9),
        ]
        listed = await sdks.pages(sdks.openai.models.list)

    assert [reply.headers["x-plano-model"] for reply in replies] == [
        "openai/gpt-4o",
        "groq/llama-3",
        "anthropic/claude-demo",
    ]
    assert [] == listed  # a wildcard is no model: nobody could ask for it


async def test_a_wildcard_itself_is_told_how_to_be_asked_for(sidecar):
    """A 404 that shows a full name."""
    async with open_sdks(sidecar, "async") as sdks:
        retrieve, create = sdks.openai.models.retrieve, sdks.openai.chat.completions.create
        with pytest.raises(openai.NotFoundError) as caught:
            await retrieve("openai/*")
        with pytest.raises(openai.NotFoundError, match=r"by its full name, as in groq/MODEL"):
            await create(model="*", messages=MESSAGES)

    assert (
        "'openai/*' is a wildcard, which is no model; any model of groq/*, openai/*, anthropic/* "
        "by its full name, as in openai/MODEL"
    ) in caught.value.message
