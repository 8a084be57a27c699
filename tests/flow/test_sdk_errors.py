"""What the SDKs raise: the exception classes that an app already handles, whoever made the
error.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio

from tests.support import failing
from tests.support.failing import CHAT, EMBEDDINGS, GENERATING_PATHS, MESSAGES, RESPONSES
from tests.support.scripted_provider import ScriptedProvider
from tests.support.sdks import KINDS, Sdks, open_sdks
from tests.support.sidecar_process import SidecarProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPENAI_CLASSES: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    404: openai.NotFoundError,
    413: openai.APIStatusError,
    429: openai.RateLimitError,
    502: openai.InternalServerError,
    503: openai.InternalServerError,
    504: openai.InternalServerError,
}
ANTHROPIC_CLASSES: dict[int, type[anthropic.APIStatusError]] = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    404: anthropic.NotFoundError,
    413: anthropic.RequestTooLargeError,
    429: anthropic.RateLimitError,
    502: anthropic.InternalServerError,
    503: anthropic.ServiceUnavailableError,
    504: anthropic.DeadlineExceededError,
}
SIDECAR_MADE = {
    "unknown": (404, "model_not_found"),
    "closed": (503, "upstream_connect_failed"),
    "slow": (504, "upstream_timeout"),
    "garbage": (502, "upstream_malformed"),
}


@pytest_asyncio.fixture(params=KINDS, loop_scope="module")
async def sdks(
    request: pytest.FixtureRequest, failing_sidecar: SidecarProcess
) -> AsyncIterator[Sdks]:
    async with open_sdks(failing_sidecar.data_url, request.param) as sdks:
        yield sdks


async def raised(
    sdks: Sdks, path: str, model: str, *, is_streamed: bool = False, said: str = "Hello"
) -> Any:
    """The exception that the SDK of this path raises. Fails the test where it raises none."""
    method = {
        CHAT: sdks.openai.chat.completions.create,
        RESPONSES: sdks.openai.responses.create,
        EMBEDDINGS: sdks.openai.embeddings.create,
        MESSAGES: sdks.anthropic.messages.create,
    }[path]
    call = sdks.events if is_streamed else sdks.call
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as caught:
        await call(method, **failing.body_for(path, model, said))
    return caught.value


def class_for(path: str, status: int) -> type[Exception]:
    return ANTHROPIC_CLASSES[status] if failing.is_anthropic(path) else OPENAI_CLASSES[status]


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("path", GENERATING_PATHS)
@pytest.mark.parametrize("status", failing.PROVIDER_STATUSES)
async def test_errors_of_the_provider(
    sdks: Sdks, shared_provider: ScriptedProvider, path: str, status: int, is_streamed: bool
) -> None:
    """A provider's error reaches the SDK as the provider wrote it, byte for byte, and is not called
    ours.
    """
    model = failing.model_of(path, status)
    shared_provider.script.next(str(status), model=model)
    error = await raised(sdks, path, model, is_streamed=is_streamed)
    assert (type(error), error.status_code) == (class_for(path, status), status)
    assert error.response.content == bytes(shared_provider.requests[-1].sent)
    assert error.response.headers["x-request-id"]
    assert "x-plano-error" not in error.response.headers


@pytest.mark.parametrize("path", GENERATING_PATHS)
async def test_retry_after_of_the_provider(
    sdks: Sdks, shared_provider: ScriptedProvider, path: str
) -> None:
    """The provider's Retry-After and rate limits reach the app's own backoff."""
    model = failing.model_of(path, 429)
    shared_provider.script.next("429 retry-after=7", model=model)
    headers = (await raised(sdks, path, model)).response.headers
    limits = (
        "anthropic-ratelimit-requests-limit"
        if failing.is_anthropic(path)
        else "x-ratelimit-limit-requests"
    )
    assert (headers["retry-after"], limits in headers) == ("7", True)


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize("path", GENERATING_PATHS)
@pytest.mark.parametrize("what", SIDECAR_MADE)
async def test_errors_of_the_sidecar(
    sdks: Sdks, shared_provider: ScriptedProvider, path: str, what: str, is_streamed: bool
) -> None:
    """The sidecar's own errors are the SDK's exceptions for their status, with our code where the
    SDK shows one.
    """
    status, code = SIDECAR_MADE[what]
    model = failing.model_of(path, what)
    if what in {"slow", "garbage"}:
        shared_provider.script.next("hang" if what == "slow" else "garbage", model=model)
    error = await raised(sdks, path, model, is_streamed=is_streamed)
    assert (type(error), error.status_code) == (class_for(path, status), status)
    assert error.response.headers["x-plano-error"] == code
    if failing.is_anthropic(path):
        assert error.body["request_id"] == error.response.headers["x-request-id"]
    else:
        assert (error.code, error.request_id) == (code, error.response.headers["x-request-id"])


@pytest.mark.parametrize("path", [*GENERATING_PATHS, EMBEDDINGS])
async def test_body_too_large(sdks: Sdks, path: str) -> None:
    """A body over the limit is the SDK's 413, not a broken connection."""
    error = await raised(sdks, path, failing.good_model(path), said="x" * failing.BODY_LIMIT_BYTES)
    assert (type(error), error.status_code) == (class_for(path, 413), 413)


@pytest.mark.parametrize(
    ("path", "model"),
    [(MESSAGES, "gpt-4o"), (RESPONSES, "claude-demo"), (EMBEDDINGS, "claude-demo")],
)
async def test_dialect_not_served(sdks: Sdks, path: str, model: str) -> None:
    """A model that does not speak the SDK's dialect is a bad request."""
    error = await raised(sdks, path, model)
    assert (type(error), error.status_code) == (class_for(path, 400), 400)
    assert error.response.headers["x-plano-error"] == "dialect_not_served"
