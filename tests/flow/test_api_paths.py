"""What OpenAI's and Anthropic's SDKs call beside chat, responses, messages and embeddings: served
without being configured, by the one provider that can be meant.
"""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import AsyncIterator, Callable
from typing import Any

import anthropic
import openai
import pytest

from sidecar.app import App
from tests.support.api_provider import CONTENT, SPEECH, ApiProvider
from tests.support.in_process import running_app
from tests.support.net import exchange, raw_request
from tests.support.sdks import KINDS, Sdks, open_sdks
from tests.support.sidecar_process import sidecar_config

FILE = ("a.jsonl", b'{"a":1}\n' * 30_000)
"""Longer than what is held of a body."""
BATCH = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
PARAMS = {"model": "claude-demo", "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]}
Call = Callable[[Sdks], Any]

OPENAI: dict[str, tuple[Call, str, Callable[[Any], object], object]] = {
    "responses.retrieve": (
        lambda s: s.call(s.openai.responses.retrieve, response_id="resp_1", include=["reasoning.encrypted_content"]),
        "GET /v1/responses/resp_1?include%5B%5D=reasoning.encrypted_content", lambda r: r.id, "resp_1",
    ),
    "responses.cancel": (
        lambda s: s.call(s.openai.responses.cancel, response_id="resp_1"),
        "POST /v1/responses/resp_1/cancel", lambda r: r.status, "completed",
    ),
    "responses.delete": (
        lambda s: s.call(s.openai.responses.delete, response_id="resp_1"),
        "DELETE /v1/responses/resp_1", lambda r: r, None,
    ),
    "responses.input_items.list": (
        lambda s: s.call(s.openai.responses.input_items.list, response_id="resp_1"),
        "GET /v1/responses/resp_1/input_items", lambda r: r.data, [],
    ),
    "responses.compact": (
        lambda s: s.call(s.openai.responses.compact, model="gpt-4o", input="x" * 70_000),
        "POST /v1/responses/compact", lambda r: r.output[0].type, "compaction",
    ),
    "responses.input_tokens.count": (
        lambda s: s.call(s.openai.responses.input_tokens.count, model="gpt-4o", input="x"),
        "POST /v1/responses/input_tokens", lambda r: r.input_tokens, 7,
    ),
    "conversations.create": (
        lambda s: s.call(s.openai.conversations.create),
        "POST /v1/conversations", lambda r: r.id, "conv_1",
    ),
    "conversations.items.list": (
        lambda s: s.call(s.openai.conversations.items.list, conversation_id="conv_1"),
        "GET /v1/conversations/conv_1/items", lambda r: r.data, [],
    ),
    "moderations.create": (
        lambda s: s.call(s.openai.moderations.create, model="omni-moderation-latest", input="x"),
        "POST /v1/moderations", lambda r: r.model, "omni-moderation-latest",
    ),
    "moderations.create, no model": (
        lambda s: s.call(s.openai.post, path="/moderations", body={"input": "x", "model": None}, cast_to=object),
        "POST /v1/moderations", lambda r: r["model"], None,
    ),
    "completions.create": (
        lambda s: s.call(s.openai.completions.create, model="gpt-3.5-turbo-instruct", prompt="a"),
        "POST /v1/completions", lambda r: r.choices[0].text, "hello",
    ),
    "completions.create, streamed": (
        lambda s: s.events(s.openai.completions.create, model="gpt-4o", prompt="a"),
        "POST /v1/completions", lambda r: [each.choices[0].text for each in r], ["hello"] * 3,
    ),
    "images.generate": (
        lambda s: s.call(s.openai.images.generate, model="gpt-image-1", prompt="a cat"),
        "POST /v1/images/generations", lambda r: r.data[0].b64_json, "aGk=",
    ),
    "images.edit": (
        lambda s: s.call(s.openai.images.edit, model="gpt-image-1", prompt="a", image=("a.png", b"png")),
        "POST /v1/images/edits", lambda r: r.data[0].b64_json, "aGk=",
    ),
    "audio.transcriptions.create": (
        lambda s: s.call(s.openai.audio.transcriptions.create, model="whisper-1", file=("a.wav", FILE[1])),
        "POST /v1/audio/transcriptions", lambda r: r.text, f"{len(FILE[1])} bytes",
    ),
    "audio.speech.create": (
        lambda s: s.call(s.openai.audio.speech.create, model="tts-1", voice="alloy", input="a"),
        "POST /v1/audio/speech", lambda r: r.content, SPEECH,
    ),
    "files.create": (
        lambda s: s.call(s.openai.files.create, file=FILE, purpose="batch"),
        "POST /v1/files", lambda r: r.bytes, len(FILE[1]),
    ),
    "files.list": (
        lambda s: s.pages(s.openai.files.list), "GET /v1/files", lambda r: r[0].id, "file-1",
    ),
    "files.content": (
        lambda s: s.call(s.openai.files.content, file_id="file-1"),
        "GET /v1/files/file-1/content", lambda r: r.content, CONTENT,
    ),
    "files.delete": (
        lambda s: s.call(s.openai.files.delete, file_id="file-1"),
        "DELETE /v1/files/file-1", lambda r: r.deleted, True,
    ),
    "uploads.create": (
        lambda s: s.call(s.openai.uploads.create, bytes=3, filename="a", mime_type="text/plain", purpose="batch"),
        "POST /v1/uploads", lambda r: r.status, "pending",
    ),
    "uploads.cancel": (
        lambda s: s.call(s.openai.uploads.cancel, upload_id="upload_1"),
        "POST /v1/uploads/upload_1/cancel", lambda r: r.id, "upload_1",
    ),
    "batches.create": (
        lambda s: s.call(s.openai.batches.create, **BATCH), "POST /v1/batches", lambda r: r.id, "batch_1",
    ),
    "batches.retrieve": (
        lambda s: s.call(s.openai.batches.retrieve, batch_id="batch_1"),
        "GET /v1/batches/batch_1", lambda r: r.status, "validating",
    ),
    "batches.list": (
        lambda s: s.pages(s.openai.batches.list), "GET /v1/batches", lambda r: r[0].id, "batch_1",
    ),
    "batches.cancel": (
        lambda s: s.call(s.openai.batches.cancel, batch_id="batch_1"),
        "POST /v1/batches/batch_1/cancel", lambda r: r.id, "batch_1",
    ),
    "vector_stores.create": (
        lambda s: s.call(s.openai.vector_stores.create, name="a"),
        "POST /v1/vector_stores", lambda r: r.id, "vs_1",
    ),
}  # fmt: skip
ANTHROPIC: dict[str, tuple[Call, str, Callable[[Any], object], object]] = {
    "messages.batches.create": (
        lambda s: s.call(
            s.anthropic.messages.batches.create,
            requests=[{"custom_id": str(number), "params": PARAMS} for number in range(1000)],
        ),
        "POST /v1/messages/batches", lambda r: r.id, "msgbatch_1",
    ),
    "messages.batches.retrieve": (
        lambda s: s.call(s.anthropic.messages.batches.retrieve, message_batch_id="msgbatch_1"),
        "GET /v1/messages/batches/msgbatch_1", lambda r: r.processing_status, "ended",
    ),
    "messages.batches.list": (
        lambda s: s.pages(s.anthropic.messages.batches.list),
        "GET /v1/messages/batches", lambda r: r[0].id, "msgbatch_1",
    ),
    "messages.batches.cancel": (
        lambda s: s.call(s.anthropic.messages.batches.cancel, message_batch_id="msgbatch_1"),
        "POST /v1/messages/batches/msgbatch_1/cancel", lambda r: r.id, "msgbatch_1",
    ),
    "messages.batches.delete": (
        lambda s: s.call(s.anthropic.messages.batches.delete, message_batch_id="msgbatch_1"),
        "DELETE /v1/messages/batches/msgbatch_1", lambda r: r.type, "message_batch_deleted",
    ),
    "a batch's results by their path": (
        lambda s: s.call(s.anthropic.get, path="/v1/messages/batches/msgbatch_1/results", cast_to=bytes),
        "GET /v1/messages/batches/msgbatch_1/results", lambda r: r, CONTENT,
    ),
    "files.list": (
        lambda s: s.pages(s.anthropic.beta.files.list),
        "GET /v1/files", lambda r: r[0].id, "file_011",
    ),
}  # fmt: skip


def _entry(model: str, provider: ApiProvider, **more: Any) -> dict[str, Any]:
    return {"model": model, "access_key": f"sk-{model}", "base_url": provider.url, **more}


@contextlib.asynccontextmanager
async def _serving(
    tmp_path: Any, *models: str, **more: Any
) -> AsyncIterator[tuple[App, ApiProvider]]:
    """A sidecar with an entry for each model, all at one provider; the last may be the default."""
    async with ApiProvider().serving() as provider:
        entries = [
            _entry(model.removesuffix("!"), provider, default=model.endswith("!"))
            for model in models
        ]
        config = sidecar_config(provider.url, model_providers=entries, passthrough=[], **more)
        if "model_aliases" not in more:
            del config["model_aliases"]
        async with running_app(config, tmp_path) as app:
            yield app, provider


def _url(app: App) -> str:
    return f"http://127.0.0.1:{app.ports.data}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPENAI)
async def test_openais_sdk_is_served_whole_without_a_line_of_config(tmp_path, name, kind):
    """At OpenAI, though another provider stands first; its SDK reads what comes back."""
    call, target, read, expected = OPENAI[name]
    async with _serving(tmp_path, "anthropic/claude-demo", "openai/gpt-4o!") as (app, provider):
        async with open_sdks(_url(app), kind) as sdks:
            got = read(await call(sdks))
    (asked,) = provider.asked

    assert (target, expected) == (f"{asked.method} {asked.target}", got)
    assert "Bearer sk-openai/gpt-4o" == asked.headers["Authorization"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ANTHROPIC)
async def test_anthropics_sdk_is_served_whole_without_a_line_of_config(tmp_path, name, kind):
    """At Anthropic, though OpenAI is the default; also its files, which have OpenAI's path."""
    call, target, read, expected = ANTHROPIC[name]
    async with _serving(tmp_path, "openai/gpt-4o!", "anthropic/claude-demo") as (app, provider):
        async with open_sdks(_url(app), kind) as sdks:
            got = read(await call(sdks))
    (asked,) = provider.asked

    assert (target, expected) == (f"{asked.method} {asked.target}", got)
    assert ("sk-anthropic/claude-demo", True, None) == (
        asked.headers["x-api-key"],
        "anthropic-version" in asked.headers,
        asked.headers.get("Authorization"),
    )


@pytest.mark.parametrize(
    ("models", "model", "expected", "sent"),
    [
        (("groq/llama", "openai/gpt-4o"), "omni", "openai/gpt-4o", "omni"),
        (("openai/a", "openai/b!"), "omni", "openai/b", "omni"),
        (("openai/a!", "openai/b"), "b", "openai/b", "b"),
        (("openai/a!", "openai/b"), "openai/b", "openai/b", "b"),
        (("openai/a", "mistral/m"), "mistral/moderate", "mistral/m", "moderate"),
        (("mistral/*", "openai/*"), "omni", "mistral/*", "omni"),
        (("mistral/*", "openai/*"), "openai/omni", "openai/*", "omni"),
        (("azure_openai/d", "openai/gpt-4o"), "omni", "openai/gpt-4o", "omni"),
    ],
)  # fmt: skip
async def test_the_model_of_a_body_then_the_default_then_the_configs_order_decide(
    tmp_path, models, model, expected, sent
):
    """Never chance. The provider gets its own name of the model, and every other byte as it was."""
    body = b'{ "input":"x",\n "model" : "%b" , "n": 1.50}'
    async with _serving(tmp_path, *models) as (app, provider):
        head = f"POST /v1/moderations HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body) - 2 + len(model)}\r\n"
        reply = await exchange(
            app.ports.data,
            f"{head}Content-Type: application/json\r\n\r\n".encode() + body % model.encode(),
        )
    (asked,) = provider.asked

    assert (expected, body % sent.encode()) == (dict(reply.headers)["x-plano-provider"], asked.body)


async def test_a_compressed_body_that_names_a_model_goes_on_as_it_was_read(tmp_path):
    """Plain, to the entry of its model; what is not looked into goes on compressed."""
    body = gzip.compress(b'{"model":"openai/b","input":"x"}')
    async with _serving(tmp_path, "openai/a!", "openai/b") as (app, provider):
        async with open_sdks(_url(app), "async") as sdks:
            for path in ("/moderations", "/vector_stores"):
                await sdks.openai.post(
                    path,
                    content=body,
                    options={
                        "headers": {"content-encoding": "gzip", "content-type": "application/json"}
                    },
                    cast_to=object,
                )
    read, unread = provider.asked

    assert (b'{"model":"b","input":"x"}', None, "Bearer sk-openai/b") == (
        read.body,
        read.headers.get("Content-Encoding"),
        read.headers["Authorization"],
    )
    assert "gzip" == unread.headers["Content-Encoding"]
    assert len(body) == int(unread.headers["Content-Length"])


SHORT, LONG = b"RIFF", bytes(range(256)) * 4096
"""Of a file: a form with the other one is not held."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize(
    ("model", "expected", "sent"),
    [
        ("groq/whisper-large", "groq/whisper-large", "whisper-large"),
        ("whisper-large", "groq/whisper-large", "whisper-large"),
        ("fast", "groq/whisper-large", "whisper-large"),
        ("openai/whisper-1", "openai/gpt-4o", "whisper-1"),
        ("whisper-1", "openai/gpt-4o", "whisper-1"),
    ],
)
async def test_a_form_goes_to_the_entry_of_the_model_that_it_names(
    tmp_path, model, expected, sent, kind, file
):
    """As a body in JSON; the provider gets its own name of the model, and the file as it was."""
    aliases = {"fast": {"target": "groq/whisper-large"}}
    models = "openai/gpt-4o!", "groq/whisper-large"
    async with _serving(tmp_path, *models, model_aliases=aliases) as (app, provider):
        async with open_sdks(_url(app), kind) as sdks:
            found = await sdks.call(
                sdks.openai.audio.transcriptions.create, model=model, file=("a.wav", file)
            )
    (asked,) = provider.asked

    assert (f"Bearer sk-{expected}", f"{len(file)} bytes") == (
        asked.headers["Authorization"],
        found.text,
    )
    assert {"model": sent.encode(), "file": file} == asked.form


FORM_TYPE = b"Content-Type: multipart/form-data; boundary=x\r\n"
FIELD = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\ngroq/whisper-large\r\n'
FILE_PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%b\r\n'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (FILE_PART % SHORT + FIELD + b"--x--\r\n", "groq/whisper-large"),
        (FILE_PART % LONG + FIELD + b"--x--\r\n", "openai/gpt-4o"),
        (FIELD + FILE_PART % LONG + b"--x--\r\n", "groq/whisper-large"),
    ],
    ids=["behind a short file", "behind a long file", "before a long file"],
)
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_the_model_of_a_form_is_looked_for_in_its_beginning(
    tmp_path, body, expected, is_chunked
):
    """Behind a long file it is not seen, and the form goes where it would without it."""
    framing = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % len(body)
    head = b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\n" + FORM_TYPE + framing
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if is_chunked else body
    async with _serving(tmp_path, "openai/gpt-4o!", "groq/whisper-large") as (app, provider):
        reply = await exchange(app.ports.data, head + b"\r\n\r\n" + sent)
    (asked,) = provider.asked
    is_found = expected == "groq/whisper-large"

    assert (200, expected, "requested" if is_found else "default") == (
        reply.status,
        dict(reply.headers)["x-plano-provider"],
        dict(reply.headers)["x-plano-source"],
    )
    assert (body.replace(b"groq/whisper", b"whisper") if is_found else body) == asked.body


async def test_a_form_for_a_model_of_another_kind_is_refused_before_its_file_is_read(tmp_path):
    """As a body in JSON: no prompt goes to another vendor than its model's."""
    field = FIELD.replace(b"groq/whisper-large", b"claude-demo")
    head = b"POST /v1/images/edits HTTP/1.1\r\nHost: localhost\r\n" + FORM_TYPE
    head += b"Expect: 100-continue\r\nContent-Length: 999999\r\n\r\n"
    async with _serving(tmp_path, "openai/gpt-4o!", "anthropic/claude-demo") as (app, provider):
        reply = await exchange(app.ports.data, head + field + FILE_PART[:60])

    assert (404, "path_not_found") == (reply.status, dict(reply.headers)["x-plano-error"])
    assert [] == provider.asked


@pytest.mark.parametrize(
    ("models", "call", "expected"),
    [
        (
            ("anthropic/claude-demo",),
            lambda s: s.openai.moderations.create(model="omni", input="x"),
            "no entry is known to serve it",
        ),
        (
            ("openai/gpt-4o", "anthropic/claude-demo"),
            lambda s: s.openai.completions.create(model="claude-demo", prompt="x"),
            "'claude-demo' is at 'anthropic/claude-demo', which does not serve it",
        ),
        (
            ("openai/gpt-4o",),
            lambda s: s.anthropic.messages.batches.list(),
            "no entry is known to serve it",
        ),
        (
            ("openai/gpt-4o",),
            lambda s: s.anthropic.beta.files.upload(file=FILE),
            "no entry is known to serve it",
        ),
    ],
)
async def test_where_nobody_can_be_meant_the_404_says_so(tmp_path, models, call, expected):
    """In the caller's dialect, with what to write; no prompt goes to another vendor."""
    async with _serving(tmp_path, *models) as (app, provider):
        async with open_sdks(_url(app), "async") as sdks:
            try:
                await call(sdks)
            except (openai.NotFoundError, anthropic.NotFoundError) as error:
                refused = error

    assert expected in refused.message
    assert "`passthrough` in the config names the provider" in refused.message
    assert "path_not_found" == refused.response.headers["x-plano-error"]
    assert [] == provider.asked


async def test_a_configured_path_goes_before_what_is_known(tmp_path):
    """The longest prefix of them first."""
    more = {
        "passthrough": [
            {"path": "/v1/files", "provider": "groq"},
            {"path": "/v1/files/file-1", "provider": "openai"},
        ]
    }
    async with ApiProvider().serving() as provider:
        entries = [_entry("openai/gpt-4o", provider, default=True), _entry("groq/llama", provider)]
        config = sidecar_config(provider.url, model_providers=entries, **more)
        del config["model_aliases"]
        async with running_app(config, tmp_path) as app, open_sdks(_url(app), "async") as sdks:
            await sdks.openai.files.list()
            await sdks.openai.files.content("file-1")
            await sdks.openai.batches.list()

    assert [f"Bearer sk-{model}" for model in ("groq/llama", "openai/gpt-4o", "openai/gpt-4o")] == [
        asked.headers["Authorization"] for asked in provider.asked
    ]


async def test_none_of_these_paths_is_served_where_the_config_refuses_those_it_does_not_name(
    tmp_path,
):
    """Calls to models and what `passthrough` names are served as ever."""
    async with _serving(
        tmp_path, "openai/gpt-4o!", "anthropic/claude-demo", unlisted_paths="refuse"
    ) as (app, provider):
        refused = []
        async with open_sdks(_url(app), "async") as sdks:
            for call, target, *_ in (*OPENAI.values(), *ANTHROPIC.values()):
                with pytest.raises((openai.NotFoundError, anthropic.NotFoundError)) as caught:
                    await call(sdks)
                refused.append((target, "`unlisted_paths` refuses" in str(caught.value)))

    assert [True] * (len(OPENAI) + len(ANTHROPIC)) == [is_told for _, is_told in refused]
    assert [] == provider.asked


async def test_a_path_that_the_config_names_is_served_where_it_refuses_all_others(tmp_path):
    """By a prefix: what is below goes with it."""
    named = {"passthrough": [{"path": "/v1/batches", "provider": "openai"}]}
    async with ApiProvider().serving() as provider:
        entries = [_entry("openai/gpt-4o", provider, default=True)]
        config = sidecar_config(
            provider.url, model_providers=entries, unlisted_paths="refuse", **named
        )
        del config["model_aliases"]
        async with running_app(config, tmp_path) as app, open_sdks(_url(app), "async") as sdks:
            found = await sdks.openai.batches.retrieve("batch_1")
            with pytest.raises(openai.NotFoundError):
                await sdks.openai.files.list()

    assert ("batch_1", 1) == (found.id, len(provider.asked))


async def test_what_belongs_to_a_session_goes_to_its_account(tmp_path):
    """A response that one account stores is unknown to the other: the session's pin tells which."""
    async with ApiProvider().serving() as provider:
        entries = [
            _entry("openai/gpt-4o", provider, name=name, access_key=f"sk-{name}")
            for name in ("first", "second")
        ]
        config = sidecar_config(provider.url, model_providers=entries, passthrough=[])
        config["model_aliases"] = {"main": {"target": "openai/gpt-4o"}}
        async with running_app(config, tmp_path) as app, open_sdks(_url(app), "async") as sdks:
            store, here = app.foundation.store, {"x-model-affinity": "s1"}
            await _pin(app, "s1", "second")
            responses = sdks.openai.responses
            await responses.retrieve("resp_1", extra_headers=here)
            await responses.compact(model="main", input="x", extra_headers=here)
            await sdks.openai.conversations.items.list("conv_1", extra_headers=here)
            raw = await responses.with_raw_response.delete("resp_1", extra_headers=here)
            await responses.retrieve("resp_1")
            await responses.retrieve("resp_1", extra_headers={"x-model-affinity": "another"})
            await sdks.openai.files.list(extra_headers=here)
            pins = await store.pins.of_session(None, "s1")

    assert ["second"] * 4 + ["first"] * 3 == [
        asked.headers["Authorization"].removeprefix("Bearer sk-") for asked in provider.asked
    ]
    assert "gpt-4o" == provider.asked[1].json["model"]
    assert ("pinned", "second") == (raw.headers["x-plano-source"], raw.headers["x-plano-provider"])
    assert ["second"] == [pin.binding.provider for pin in pins]


async def _pin(app: App, session_id: str, entry: str) -> None:
    """Pin a session's first lane as a call that was served there has."""
    from sidecar.affinity.session import make_session
    from sidecar.domain.decision import Binding

    store = app.foundation.store
    session = make_session(session_id, None, "openai/gpt-4o", None, store.key_prefix)
    binding = Binding(
        "openai/gpt-4o", None, "openai/gpt-4o", 1, app.foundation.clock.unix_s(), provider=entry
    )
    assert binding == await store.claim(session, binding)


async def test_these_calls_are_counted_as_passed_through(tmp_path):
    """Whatever model they name: one series for all of them."""
    async with _serving(tmp_path, "openai/gpt-4o!") as (app, _):
        async with open_sdks(_url(app), "async") as sdks:
            for number in range(20):
                await sdks.openai.moderations.create(model=f"invented-{number}", input="x")
        reply = await exchange(app.ports.admin, raw_request("GET", "/metrics"))
    lines = [line for line in reply.body.decode().splitlines() if "requests_total{" in line]

    assert "invented" not in reply.body.decode()
    assert ["20.0"] == [
        line.rpartition(" ")[2]
        for line in lines
        if 'dialect="passthrough"' in line and not line.endswith(" 0.0")
    ]


async def test_a_model_that_is_unknown_there_holds_nothing_against_the_entry(tmp_path):
    """The app named it; chat goes on as it did."""
    async with _serving(tmp_path, "openai/gpt-4o!", "openai/b") as (app, provider):
        async with open_sdks(_url(app), "async") as sdks:
            for _ in range(3):
                with pytest.raises(openai.NotFoundError, match="does not exist"):
                    await sdks.openai.images.generate(model="openai/gone", prompt="a cat")
        assert [] == app.foundation.cooling.ejected(app.foundation.clock.monotonic_s())
    assert ["gone"] * 3 == [asked.json["model"] for asked in provider.asked]
