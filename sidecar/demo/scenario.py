"""The calls that the demo makes, what each must come to, and the config of its sidecars."""

from __future__ import annotations

from typing import Final

import msgspec

from sidecar.demo.request import Json


class DemoCall(msgspec.Struct, frozen=True):
    """One call of the demo."""

    via: str
    """The sidecar that it goes through: A or B."""
    label: str
    path: str
    body: Json | None = None
    """None: a GET."""
    session: str | None = None
    expected_status: int = 200

    @property
    def requested_model(self) -> str:
        """The model that the call asks for; a dash if it asks for none."""
        return str(self.body.get("model", "-")) if self.body else "-"


CHAT_PATH: Final = "/v1/chat/completions"
RESPONSES_PATH: Final = "/v1/responses"
MESSAGES_PATH: Final = "/v1/messages"

_CODE: Final = "Write a function that sorts a list"
_SUMMARY: Final = "Summarize these meeting notes: ship it on Monday"
_TRANSLATION: Final = "Translate this mail into French"
_FAIL: Final = "[[fail:400]]"
"""The demo provider fails a call whose user message contains this."""
_DOWN: Final = "openai/error-529"
"""The demo provider fails every call for a model of this name."""


def chat(model: str, text: str, **more: object) -> Json:
    """The body of a chat completion."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def messages(model: str, text: str, **more: object) -> Json:
    """The body of an Anthropic message."""
    return {
        "model": model,
        "max_tokens": 256,
        "messages": [{"role": "user", "content": text}],
        **more,
    }


def responses(model: str, text: str, **more: object) -> Json:
    """The body of an OpenAI response."""
    return {"model": model, "input": text, **more}


_STREAM: Final = {"stream": True}
_USAGE: Final = {**_STREAM, "stream_options": {"include_usage": True}}
_MINI: Final = "openai/gpt-4o-mini"
_CLAUDE: Final = "claude-sonnet-5"
_TWO_INPUTS: Final[Json] = {"model": "text-embedding-3-small", "input": ["left", "right"]}

STEPS: Final = (
    DemoCall("A", "models", "/v1/models"),
    DemoCall("A", "chat", CHAT_PATH, chat(_MINI, _CODE), session="s1"),
    DemoCall(
        "B", "chat, streamed", CHAT_PATH, chat(_MINI, "Now with tests", **_USAGE), session="s1"
    ),
    DemoCall("A", "chat, model is down", CHAT_PATH, chat(_MINI, _TRANSLATION), session="s3"),
    DemoCall("A", "chat, once more", CHAT_PATH, chat(_MINI, "And into German"), session="s3"),
    DemoCall("A", "chat, alias", CHAT_PATH, chat("fast", "Say hello")),
    DemoCall("B", "chat, by Claude", CHAT_PATH, chat(_CLAUDE, "Say hello", **_USAGE)),
    DemoCall("B", "decision only", "/routing" + CHAT_PATH, chat("fast", _TRANSLATION)),
    DemoCall("B", "responses", RESPONSES_PATH, responses("gpt-4o", _CODE)),
    DemoCall("A", "responses, streamed", RESPONSES_PATH, responses("gpt-4o", _SUMMARY, **_STREAM)),
    DemoCall("B", "messages", MESSAGES_PATH, messages(_CLAUDE, _SUMMARY), session="s2"),
    DemoCall(
        "A", "messages, streamed", MESSAGES_PATH, messages(_CLAUDE, "Shorter", **_STREAM), "s2"
    ),
    DemoCall("B", "count tokens", "/v1/messages/count_tokens", messages(_CLAUDE, _SUMMARY)),
    DemoCall("A", "embeddings", "/v1/embeddings", _TWO_INPUTS),
    DemoCall(
        "B", "unknown model", CHAT_PATH, chat("gpt-99", "Is anybody there?"), expected_status=404
    ),
    DemoCall("A", "provider fails", MESSAGES_PATH, messages(_CLAUDE, _FAIL), expected_status=400),
)


def sidecar_yaml(*, provider_url: str, router_url: str, redis_url: str | None = None) -> str:
    """Write the config of the demo's sidecars: two providers at one address, on free ports.

    With ``redis_url`` the sidecars share their pins; a call then waits longer for Redis than it
    usually does, since the demo's machine may be slow.
    """
    cache = (
        "{type: memory}"
        if redis_url is None
        else f"{{type: redis, url: {redis_url}, call_budget_ms: 500}}"
    )
    return f"""\
version: v0.4.0
listeners:
  - {{type: model, name: llm, address: 127.0.0.1, port: 0}}
admin: {{address: 127.0.0.1, port: 0}}
model_providers:
  - {{model: openai/gpt-4o-mini, access_key: sk-demo, base_url: {provider_url}, default: true}}
  - {{model: openai/gpt-4o, access_key: sk-demo, base_url: {provider_url}}}
  - {{model: {_DOWN}, access_key: sk-demo, base_url: {provider_url}}}
  - {{model: openai/text-embedding-3-small, access_key: sk-demo, base_url: {provider_url}}}
  - {{model: anthropic/claude-sonnet-5, access_key: sk-ant-demo, base_url: {provider_url}}}
  - {{model: plano/router, base_url: {router_url}}}
model_aliases:
  fast: {{target: openai/gpt-4o-mini}}
routing_preferences:
  - name: code generation
    description: writing new functions, scripts, tests or boilerplate code
    models: [openai/gpt-4o, anthropic/claude-sonnet-5]
  - name: summaries
    description: summarizing notes, mails and documents
    models: [anthropic/claude-sonnet-5, openai/gpt-4o-mini]
  - name: translations
    description: translating texts and mails into another language
    models: [{_DOWN}, openai/gpt-4o]
overrides: {{llm_routing_model: plano/router}}
routing:
  session_cache: {cache}
"""
