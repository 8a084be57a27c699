"""The simulator's server: one port, many accounts, told apart by their keys."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, Self

import msgspec
from aiohttp import web

from tests.support.simulator import chat_api, messages_api, responses_api
from tests.support.simulator.faults import REFUSALS, Fault, Faults
from tests.support.simulator.ledger import Attempt, Ledger
from tests.support.simulator.prompt_cache import PromptCache
from tests.support.simulator.thinker import complete
from tests.support.simulator.values import Json, ModelRules, Prompt, Refusal, Usage

APIS: dict[str, ModuleType] = {each.PATH: each for each in (messages_api, chat_api, responses_api)}
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class Account:
    """What one account at a provider remembers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.responses: dict[str, list[Json]] = {}
        """By id: the items of the conversation up to and with that response."""
        self.reasoning: set[str] = set()
        """Ids of stored reasoning items."""


class Simulator:
    """A running simulator. ``async with`` starts and ends it."""

    def __init__(
        self,
        models: Iterable[ModelRules],
        keys: dict[str, str],
        *,
        seed: int = 0,
        rates: dict[Fault, float] | None = None,
        cache_ttl_s: float = 300.0,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args: ``keys`` are credentials and the accounts that they belong to."""
        self.models = {each.name: each for each in models}
        self.accounts = {name: Account(name) for name in keys.values()}
        self.faults = Faults(seed, rates)
        self.cache = PromptCache(cache_ttl_s)
        self.ledger = Ledger()
        self.slow_s = 0.5
        """How late the first byte of `Fault.SLOW_FIRST_BYTE` is."""
        self._keys = keys
        self._now_s = now_s
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle), handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        assert self._runner is not None
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def would_serve(self, path: str, raw: bytes, account: str, model: str) -> bool:
        """Return whether an account would serve this body now, by chance failures aside."""
        if self.faults.throttled(account, self._now_s()) is not None:
            return False
        found = self._read(path, raw, self.accounts[account], model)
        return not isinstance(found, Refusal)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.read()
        api = APIS.get(request.path, chat_api)
        account = self.accounts.get(self._keys.get(_credential(request), ""))
        if account is None:
            return _refuse(api, Refusal(401, "invalid x-api-key", "invalid_api_key", reason="401"))
        model = _model_of(raw)
        refused = self.faults.throttled(account.name, self._now_s())
        fault = None if refused else self.faults.next(account.name, model, raw)
        if fault in REFUSALS:
            refused = REFUSALS[fault]
        found = refused or self._read(request.path, raw, account, model)
        if isinstance(found, Refusal):
            self._record(request, account, model, found.reason)
            return _refuse(api, found)
        if fault is Fault.RESET_BEFORE:
            return self._reset(request, account, model, fault)
        if fault is Fault.SLOW_FIRST_BYTE:
            await asyncio.sleep(self.slow_s)
        prompt, body = found
        pieces, kind = self._complete(api, account, prompt, body)
        return await self._send(request, account, prompt, _broken(api, pieces, fault), kind)

    def _read(
        self, path: str, raw: bytes, account: Account, model: str
    ) -> tuple[Prompt, Json] | Refusal:
        """Return the request; a refusal where the account does not serve it."""
        api, rules = APIS.get(path), self.models.get(model)
        if api is None or rules is None:
            text = f"The model `{model}` does not exist or you do not have access to it."
            return Refusal(404, text, "model_not_found", "model", "model unknown")
        try:
            body = msgspec.json.decode(raw)
            previous = body.get("previous_response_id")
            if previous is not None and previous not in account.responses:
                text = f"Previous response with id '{previous}' not found."
                code = "previous_response_not_found"
                return Refusal(400, text, code, "previous_response_id", "response unknown")
            if previous is not None:
                items = account.responses[previous] + responses_api.items_of(body)
                body = body | {"input": items}
            refused = _refuse_parameter(rules, body) or api.refusal(
                rules, account.name, body, account.reasoning
            )
            return refused or (api.read(body), body)
        except (msgspec.DecodeError, KeyError, TypeError, IndexError, AttributeError) as error:
            return Refusal(400, f"Invalid request: {error!r}", reason="malformed")

    def _complete(
        self, api: ModuleType, account: Account, prompt: Prompt, body: Json
    ) -> tuple[list[bytes], str]:
        """Return the pieces of a reply and their content type, and bill the account."""
        rules = self.models[prompt.model]
        nonce = _digest(account.name.encode(), prompt.model.encode(), prompt.before)
        completion = complete(rules, prompt, nonce)
        reader = self.cache.read_marked if api is messages_api else self.cache.read_any
        read = reader(
            account.name,
            prompt.model,
            prompt.segments,
            self._now_s(),
            rules.least_cached_tokens,
        )
        said = f"{completion.thinking}{completion.text}{completion.tools}"
        usage = Usage(*read, output=len(said) // 4)
        self.ledger.bill(account.name, prompt.model, usage, rules.price)
        if api is responses_api:
            made: list[Any] = [rules, self._remember(account, prompt, body, completion, nonce)]
        else:
            made = [rules, account.name, prompt, completion]
        if prompt.wants_stream:
            return api.events(*made, usage, nonce), "text/event-stream"
        return [api.whole(*made, usage, nonce)], "application/json"

    def _remember(
        self, account: Account, prompt: Prompt, body: Json, completion: Any, nonce: str
    ) -> list[Json]:
        encrypts = "reasoning.encrypted_content" in (body.get("include") or ())
        output = responses_api.output_of(
            self.models[prompt.model], account.name, prompt, completion, nonce, encrypts=encrypts
        )
        if body.get("store") is not False:
            account.responses[f"resp_{nonce}"] = [*responses_api.items_of(body), *output]
            account.reasoning |= {each["id"] for each in output if each["type"] == "reasoning"}
        return output

    async def _send(
        self,
        request: web.BaseRequest,
        account: Account,
        prompt: Prompt,
        pieces: list[bytes | None],
        kind: str,
    ) -> web.StreamResponse:
        """Send pieces; None stands for a reset."""
        whole = b"".join(piece for piece in pieces if piece is not None)
        headers = {"request-id": "req_sim", "content-type": kind}
        if not prompt.wants_stream:
            self._record(request, account, prompt.model, "served")
            return web.Response(body=whole, headers=headers)
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(whole)
        if None in pieces:
            await asyncio.sleep(0)
            return self._reset(request, account, prompt.model, Fault.RESET_IN_STREAM)
        self._record(
            request, account, prompt.model, "served" if _is_whole(whole) else "error event"
        )
        await response.write_eof()
        return response

    def _reset(
        self, request: web.BaseRequest, account: Account, model: str, fault: Fault
    ) -> web.StreamResponse:
        self._record(request, account, model, fault.value)
        if request.transport is not None:
            request.transport.abort()
        raise asyncio.CancelledError

    def _record(self, request: web.BaseRequest, account: Account, model: str, result: str) -> None:
        attempt = Attempt(account.name, model, result, self._now_s())
        self.ledger.record(request.headers.get("x-request-id", ""), attempt)


def _broken(api: ModuleType, pieces: list[bytes], fault: Fault | None) -> list[bytes | None]:
    """Return a reply's pieces as a fault leaves them; None stands for a reset. A reply in one piece
    is whole or nothing.
    """
    overloaded = api.error_event(REFUSALS[Fault.OVERLOADED])
    if len(pieces) == 1:
        return list(pieces)
    if fault is Fault.ERROR_EVENT_FIRST:
        return [overloaded]
    if fault is Fault.ERROR_EVENT_LATER:
        return [*pieces[: len(pieces) // 2], overloaded]
    if fault is Fault.RESET_IN_STREAM:
        return [*pieces[: len(pieces) // 2], None]
    return list(pieces)


def _is_whole(stream: bytes) -> bool:
    return any(
        each in stream[-4096:] for each in (b"message_stop", b"[DONE]", b"response.completed")
    )


def _refuse_parameter(rules: ModelRules, body: Json) -> Refusal | None:
    name = rules.refused_parameter
    if not name or name not in body:
        return None
    other = next(each for each in _LIMITS[:2] if each != name)
    text = (
        f"Unsupported parameter: '{name}' is not supported with this model. Use '{other}' instead."
    )
    return Refusal(400, text, "unsupported_parameter", name, "parameter")


def _refuse(api: ModuleType, refused: Refusal) -> web.Response:
    return web.Response(
        status=refused.status,
        body=api.error(refused),
        headers=dict(refused.headers) | {"request-id": "req_sim"},
        content_type="application/json",
    )


def _credential(request: web.BaseRequest) -> str:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    return request.headers.get("x-api-key", bearer)


class _Named(msgspec.Struct):
    model: str = ""


def _model_of(raw: bytes) -> str:
    try:
        return msgspec.json.decode(raw, type=_Named).model
    except msgspec.DecodeError:
        return ""


def _digest(*parts: bytes) -> str:
    return hashlib.blake2b(b"/".join(parts), digest_size=9).hexdigest()
