"""Both SDKs through the sidecar: they cannot tell that it is there."""

from __future__ import annotations

import pytest

from tests.support.scripted_provider import ScriptedProvider
from tests.support.sdk_matrix import SdkMatrix, answer, hello
from tests.support.sdks import Sdks
from tests.support.sidecar_process import SidecarProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURED = [
    "openai/gpt-4o-mini",
    "openai/gpt-4o",
    "openai/text-embedding-3-small",
    "anthropic/claude-demo",
]


class TestThroughTheSidecar(SdkMatrix):
    @pytest.fixture
    def base_url(self, shared_sidecar: SidecarProcess) -> str:
        return shared_sidecar.data_url

    async def test_models(self, sdks: Sdks) -> None:
        """Both SDKs read the list of configured models, in config order, and the aliases."""
        for client in (sdks.openai, sdks.anthropic):
            listed = [model.id for model in await sdks.pages(client.models.list)]
            assert (listed[:4], "fast" in listed) == (CONFIGURED, True)

    @pytest.mark.parametrize("asked", ["openai/gpt-4o-mini", "gpt-4o-mini", "fast"])
    async def test_names_of_a_model(self, sdks: Sdks, asked: str) -> None:
        """A model can be asked for by its entry, its bare id or an alias; the provider gets its
        bare id.
        """
        reply = await sdks.call(
            sdks.openai.chat.completions.with_raw_response.create, **hello(asked)
        )
        assert reply.parse().choices[0].message.content == answer("gpt-4o-mini")
        assert reply.headers["x-plano-model"] == "openai/gpt-4o-mini"
        assert reply.headers["x-plano-source"] == "requested"

    async def test_chat_at_anthropic(self, sdks: Sdks) -> None:
        """Anthropic speaks chat as well: an OpenAI SDK gets an answer from it."""
        reply = await sdks.call(
            sdks.openai.chat.completions.create, **hello("anthropic/claude-demo")
        )
        assert reply.choices[0].message.content == answer("claude-demo")

    async def test_files(self, sdks: Sdks, shared_provider: ScriptedProvider) -> None:
        """A path that is passed through reaches its provider by any method, bytes untouched."""
        files = sdks.openai.files
        made = await sdks.call(files.create, file=("a.jsonl", b'{"a": 1}'), purpose="batch")
        assert b'{"a": 1}' in shared_provider.requests[-1].body
        deleted = await sdks.call(files.delete, file_id=made.id)
        assert ([f.id for f in await sdks.pages(files.list)], deleted.deleted) == ([made.id], True)
        assert shared_provider.requests[-1].header_values("authorization") == ["Bearer sk-demo"]

    async def test_credentials_and_headers(
        self, sdks: Sdks, shared_provider: ScriptedProvider
    ) -> None:
        """The provider gets the configured key and the SDK's own headers, and not the app's key."""
        await sdks.call(sdks.openai.chat.completions.create, **hello("gpt-4o"))
        openai_request = shared_provider.requests[-1]
        await sdks.call(sdks.anthropic.messages.create, **hello("claude-demo", max_tokens=9))
        anthropic_request = shared_provider.requests[-1]
        assert openai_request.header_values("authorization") == ["Bearer sk-demo"]
        assert anthropic_request.header_values("x-api-key") == ["sk-ant-demo"]
        assert anthropic_request.header_values("authorization") == []
        version = sdks.anthropic.default_headers["anthropic-version"]
        assert anthropic_request.header_values("anthropic-version") == [version]
        assert (
            openai_request.header("x-stainless-lang")
            == anthropic_request.header("x-stainless-lang")
            == "python"
        )
        assert openai_request.header_values("accept-encoding") in ([], ["identity"])

    async def test_provider_headers_come_back(self, sdks: Sdks) -> None:
        """Rate limits, request ids and repeated headers of the provider reach the app."""
        chat = await sdks.call(
            sdks.openai.chat.completions.with_raw_response.create, **hello("gpt-4o")
        )
        assert chat.headers["x-ratelimit-remaining-requests"] == "9999"
        assert chat.headers["x-plano-upstream-request-id"].startswith("req_demo")
        assert len(chat.headers.get_list("set-cookie")) == 2
        arguments = hello("claude-demo", max_tokens=9)
        message = await sdks.call(sdks.anthropic.messages.with_raw_response.create, **arguments)
        assert message.headers["anthropic-ratelimit-requests-remaining"] == "3999"
        assert message.headers["request-id"] == message.headers["x-plano-upstream-request-id"]
