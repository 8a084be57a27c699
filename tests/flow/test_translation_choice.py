"""Which of the candidates serve by translation, and what an app and an operator are told of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.command import command
from tests.support.net import exchange, json_request, raw_request
from tests.support.scripted_provider import ScriptedRouterModel
from tests.support.tool_provider import Round, SaidCall, SaidText
from tests.support.translated import MODELS, PATHS, WAYS, body_of, config, open_house

CHAT, RESPONSES, CLAUDE = MODELS["chat"], MODELS["responses"], MODELS["messages"]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
STRICT = {"type": "json_schema", "json_schema": {"name": "c", "strict": True, "schema": SCHEMA}}


def _routed(router: ScriptedRouterModel, models: list[str]) -> dict[str, Any]:
    route = {"name": "code", "description": "writing code", "models": models}
    return {"routing_preferences": [route], "overrides": {"llm_routing_model": "plano/router"}}


class TestHeaders:
    """What the app is told."""

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize(("source", "target"), WAYS)
    async def test_the_way_is_told(self, source, target, stream, tmp_path):
        """From the app's API to the provider's, beside who served."""
        async with open_house(tmp_path) as house:
            reply = await house.ask(source, target, stream=stream)

        assert (200, f"{source}>{target}", MODELS[target], "requested") == (
            reply.status,
            reply.header("x-plano-translated"),
            reply.header("x-plano-model"),
            reply.header("x-plano-source"),
        )
        kind = "text/event-stream" if stream else "application/json"
        assert (kind, True) == (reply.header("content-type"), reply.is_complete)

    async def test_what_is_lost_is_told_and_counted(self, tmp_path):
        """Unknown fields under one name, since apps invent them."""
        async with open_house(tmp_path) as house:
            more = {"seed": 7, "invented": 1, "also_invented": {}}
            reply = await house.ask("chat", "messages", **more)
            plain = await house.ask("chat", "messages")
            losses, calls = house.counted("translation_losses"), house.counted("translated_calls")

        assert {"seed", "invented", "also_invented"} == set(
            (reply.header("x-plano-lost") or "").split(", ")
        )
        assert plain.header("x-plano-lost") is None
        assert {("seed",): 1, ("unknown",): 1} == losses
        assert {("chat", CLAUDE, "messages"): 2} == calls

    async def test_a_response_in_the_apps_own_api_is_what_the_provider_sent(self, tmp_path):
        """Nothing says that it was translated."""
        async with open_house(tmp_path) as house:
            replies = [await house.ask(each, each) for each in MODELS]

        assert [(200, None, None)] * 3 == [
            (each.status, each.header("x-plano-translated"), each.header("x-plano-lost"))
            for each in replies
        ]


class TestRequests:
    """What the provider is sent."""

    async def test_its_own_path_credential_and_version_and_nothing_of_the_other_api(self, tmp_path):
        """No query, no betas; what every provider gets goes on."""
        async with open_house(tmp_path) as house:
            headers = {
                "openai-beta": "responses=v1",
                "openai-organization": "org",
                "anthropic-beta": "a-beta",
                "authorization": "Bearer app",
                "cookie": "c=1",
                "accept-encoding": "gzip",
                "user-agent": "an-app/1",
            }
            body = {"model": CLAUDE, **body_of("chat")}
            await exchange(
                house.app.ports.data, json_request(f"{PATHS['chat']}?api_key=secret", body, headers)
            )
            sent = house.provider.requests[-1]

        assert ("/v1/messages", "") == (sent.path, sent.query)
        assert (["k"], [], ["2023-06-01"], ["identity"], ["an-app/1"]) == (
            sent.header_values("x-api-key"),
            sent.header_values("authorization"),
            sent.header_values("anthropic-version"),
            sent.header_values("accept-encoding"),
            sent.header_values("user-agent"),
        )
        for name in ("openai-beta", "openai-organization", "anthropic-beta", "cookie"):
            assert [] == sent.header_values(name)
        assert [str(len(sent.body))] == sent.header_values("content-length")

    async def test_messages_at_openai_go_as_responses_or_as_chat_where_that_loses_less(
        self, tmp_path
    ):
        """Of the APIs that the model speaks the first one counts by which nothing grave is lost."""
        async with open_house(tmp_path, entries=[{"model": "openai/gpt-4o"}]) as house:
            usual = await house.ask("messages", "gpt-4o")
            stopped = await house.ask("messages", "gpt-4o", stop_sequences=["END"])

        assert ("messages>responses", "messages>chat") == (
            usual.header("x-plano-translated"),
            stopped.header("x-plano-translated"),
        )
        assert stopped.header("x-plano-lost") is None


class TestChoice:
    """Who serves, where what would be lost counts."""

    async def test_a_model_that_would_lose_what_is_decisive_does_not_serve(self, tmp_path):
        """A fallback does, or the error names the model and the fields in the app's words."""
        own = {CLAUDE: {"fallbacks": [CHAT]}}
        async with open_house(tmp_path, own=own) as house:
            served = await house.ask("chat", "messages", n=2)
            refused = await house.ask("responses", "messages", previous_response_id="resp_1")
            refused_too = await house.ask("chat", "responses", logit_bias={"1": 1})

        assert (200, CHAT, None) == (
            served.status,
            served.header("x-plano-model"),
            served.header("x-plano-translated"),
        )
        assert [(400, "dialect_not_served")] * 2 == [
            (each.status, each.header("x-plano-error")) for each in (refused, refused_too)
        ]
        error = json.loads(refused.body)["error"]
        assert ("previous_response_id", True) == (error["param"], CLAUDE in error["message"])
        assert "logit_bias" in json.loads(refused_too.body)["error"]["message"]

    async def test_a_field_that_is_not_known_is_lost_only_where_nobody_has_it(self, tmp_path):
        """A new field of an SDK must not turn a config with one provider into refusals."""
        own = {CLAUDE: {"fallbacks": [CHAT]}}
        async with open_house(tmp_path, own=own) as house:
            avoided = await house.ask("chat", "messages", brand_new={"a": 1})
        async with open_house(tmp_path) as house:
            lost = await house.ask("chat", "messages", brand_new={"a": 1})
        async with open_house(tmp_path, translate="strict") as house:
            refused = await house.ask("chat", "messages", brand_new={"a": 1})

        assert (CHAT, CLAUDE) == (avoided.header("x-plano-model"), lost.header("x-plano-model"))
        assert "brand_new" == lost.header("x-plano-lost")
        assert (400, "dialect_not_served") == (refused.status, refused.header("x-plano-error"))
        assert "brand_new" in json.loads(refused.body)["error"]["message"]

    @pytest.mark.parametrize(
        "more", [{"translate": False}, {"own": {CLAUDE: {"translate": False}}}]
    )
    async def test_translation_can_be_switched_off(self, more, tmp_path):
        """For all, or for one entry: then it is as if it was not there."""
        async with open_house(tmp_path, **more) as house:
            reply = await house.ask("chat", "messages")

        assert (400, "dialect_not_served") == (reply.status, reply.header("x-plano-error"))

    @pytest.mark.parametrize("prefer", ["none", "cheapest"])
    async def test_models_that_speak_the_api_go_first_among_equals(self, prefer, tmp_path):
        """Not before the operator's own order."""
        price = {"price": {"input": 1, "output": 1}}
        async with ScriptedRouterModel() as router:
            more = _routed(router, [CLAUDE, CHAT])
            more["routing_preferences"][0]["selection_policy"] = {"prefer": prefer}
            entries = [{"model": "plano/router", "base_url": router.url}]
            own = {CLAUDE: price, CHAT: price}
            async with open_house(tmp_path, entries=entries, own=own, **more) as house:
                decided = await exchange(
                    house.app.ports.data,
                    json_request(
                        "/routing/v1/chat/completions",
                        {"model": RESPONSES, **body_of("chat", "writing code")},
                        {},
                    ),
                )

        models = [CLAUDE, CHAT] if prefer == "none" else [CHAT, CLAUDE]
        assert (models, "code") == tuple(
            json.loads(decided.body)[each] for each in ("models", "route")
        )

    async def test_embeddings_are_never_translated(self, tmp_path):
        """No other API has them."""
        async with open_house(tmp_path) as house:
            reply = await exchange(
                house.app.ports.data,
                json_request("/v1/embeddings", {"model": CLAUDE, "input": "x"}, {}),
            )

        assert (400, "dialect_not_served") == (reply.status, reply.header("x-plano-error"))


class TestSessions:
    """A session stays where it is, whichever API its model speaks."""

    async def test_a_session_goes_on_after_its_first_model_failed_and_comes_back(self, tmp_path):
        """From a model that speaks the app's API to one that does not and back, in the middle of a
        loop of tools.
        """
        rounds = [
            Round((SaidCall(f"toolu_{number}", "weather", '{"city": "Oslo"}'),))
            for number in range(5)
        ]
        rounds.append(Round((SaidText("done"),)))
        async with ScriptedRouterModel() as router:
            router.text = '{"route": "code"}'
            more = _routed(router, [CHAT, CLAUDE])
            entries = [{"model": "plano/router", "base_url": router.url}]
            async with open_house(tmp_path, rounds, entries=entries, **more) as house:
                loop = house.loop("chat", "chat", headers={"x-model-affinity": "s1"})
                script, asked = house.provider.script, list[str]()

                def tool(call: SaidCall) -> str:
                    asked.append(house.provider.requests[-1].path)
                    if len(asked) == 2:
                        script.always("529", model="one")
                    if len(asked) == 4:
                        script.clear()
                        script.always("529", model="claude-sonnet-4-5")
                    return "rain"

                turned = await loop.run("Is it warm?", tool)
                heard = house.provider.heard()

        assert ["/v1/chat/completions", "/v1/messages"] == list(dict.fromkeys(asked))
        assert "done" == turned[-1].text
        assert [f"toolu_{number}" for number in range(5)] == [
            part.id for part in heard if isinstance(part, SaidCall)
        ]
        assert "/v1/chat/completions" == house.provider.requests[-1].path

    async def test_a_translated_session_is_pinned_to_its_account(self, tmp_path):
        """Its next call goes there without being routed."""
        async with ScriptedRouterModel() as router:
            router.text = '{"route": "code"}'
            more = _routed(router, [CLAUDE, CHAT])
            entries = [{"model": "plano/router", "base_url": router.url}]
            async with open_house(tmp_path, entries=entries, **more) as house:
                headers = {"x-model-affinity": "s1"}
                replies = [await house.ask("chat", "chat", headers=headers) for _ in range(2)]
                # One call of it cannot be served there: the next candidate serves it.
                replies.append(await house.ask("chat", "chat", headers=headers, n=2))
                replies.append(await house.ask("chat", "chat", headers=headers))

        assert [
            (CLAUDE, "routed"),
            (CLAUDE, "pinned"),
            (CHAT, "pinned"),
            (CLAUDE, "pinned"),
        ] == [(each.header("x-plano-model"), each.header("x-plano-source")) for each in replies]

    async def test_tokens_of_a_translated_session_are_not_counted(self, tmp_path):
        """No other API has a counter; who speaks messages has one."""
        async with open_house(tmp_path) as house:
            path = "/v1/messages/count_tokens"
            replies = [
                await exchange(
                    house.app.ports.data,
                    json_request(path, {"model": each, **body_of("messages")}, {}),
                )
                for each in (CHAT, CLAUDE)
            ]

        assert [404, 200] == [each.status for each in replies]
        assert "not_found_error" == json.loads(replies[0].body)["error"]["type"]


class TestStructuredOutput:
    """An app that asks for a schema gets JSON that fits it, or is served by a model that can."""

    async def test_a_schema_goes_along(self, tmp_path):
        """To a model whose API has such a field."""
        async with open_house(tmp_path) as house:
            reply = await house.ask("chat", "messages", response_format=STRICT)
            sent = json.loads(house.provider.requests[-1].body)

        assert (200, None) == (reply.status, reply.header("x-plano-lost"))
        assert SCHEMA == sent["output_config"]["format"]["schema"]

    async def test_a_model_that_cannot_does_not_serve(self, tmp_path):
        """It would ignore the schema in silence."""
        old: dict[str, Any] = {"model": "anthropic/claude-3-haiku-20240307", "fallbacks": [CHAT]}
        async with open_house(tmp_path, entries=[old]) as house:
            reply = await house.ask("chat", old["model"], response_format=STRICT)

        assert (200, CHAT) == (reply.status, reply.header("x-plano-model"))


class TestOperators:
    """What an operator is told."""

    async def test_the_record_of_a_call_says_how_it_was_translated(self, tmp_path):
        """As its header does."""
        async with open_house(tmp_path) as house:
            await house.ask("chat", "messages")
            (record,) = house.app.foundation.telemetry.calls.feed.recent()

        assert ("chat>messages", "chat") == (record.translated, record.dialect)

    async def test_route_shows_what_each_model_would_lose(self, tmp_path):
        """Of a request in a file, in whichever API."""
        file, body = tmp_path / "config.json", tmp_path / "body.json"
        file.write_text(
            json.dumps(config("http://127.0.0.1:9", own={CHAT: {"fallbacks": [CLAUDE, RESPONSES]}}))
        )
        body.write_text(json.dumps({"model": CHAT, **body_of("chat", seed=1, n=2)}))
        shown = await command("route", "--config", str(file), "--body", str(body))

        assert (0, "") == (shown.code, shown.errors)
        assert f"  {CHAT}  ({CHAT})  no, it speaks chat\n" in shown.out
        assert f"  {CLAUDE}  ({CLAUDE})  chat>messages, would lose " in shown.out
        assert "; left out for n\n" in shown.out

    @pytest.mark.parametrize(
        ("body", "arguments", "said"),
        [
            ('{"messages": []}', [], "name it by --dialect"),
            ("[]", [], "Expected `object`"),
            ('{"messages": []}', ["--dialect", "messages"], None),
        ],
    )
    async def test_a_file_that_does_not_tell_its_api_is_asked_about(
        self, body, arguments, said, tmp_path
    ):
        """Chat and messages have most members in common."""
        file, text = tmp_path / "config.json", tmp_path / "body.json"
        file.write_text(json.dumps(config("http://127.0.0.1:9")))
        text.write_text(body)
        shown = await command("route", "--config", str(file), "--body", str(text), *arguments)

        assert 1 == shown.code
        assert (said or "model_not_found") in shown.errors

    async def test_an_entry_tells_what_it_serves_by_translation(self, tmp_path):
        """On the page of provider entries."""
        async with open_house(tmp_path) as house:
            operators = house.app.ports.operators
            page = await exchange(operators, raw_request("GET", "/clusters"))

        shown = {each["model"]: each["translated"] for each in json.loads(page.body)["entries"]}
        assert ["chat>messages", "responses>messages"] == shown[CLAUDE]
