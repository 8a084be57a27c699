"""An app that asks for a path that is not served is told which base URL its SDK wants."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.listener.wrong_paths import path_not_found
from tests.listener.fakes import FakeTransport

WITH_V1 = "; the base URL of this SDK must be the sidecar's address and /v1, as in http://localhost:8123/v1, which makes "
ALONE = "; the base URL of this SDK must be the sidecar's address alone, as in http://localhost:8123, which makes "
CONFIGURED = "; `passthrough` in the config names paths that go to a provider as they are"


class _At8123(FakeTransport):
    """As a listener on any address has it, IPv6's with more parts."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("::1", 8123, 0, 0) if name == "sockname" else default


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/v1/messages", f"{ALONE}/v1/messages"),
        ("/v1/v1/messages/count_tokens", f"{ALONE}/v1/messages/count_tokens"),
        ("/openai/v1/messages", f"{ALONE}/v1/messages"),
        ("/messages", f"{WITH_V1}/v1/messages"),
        ("/messages/count_tokens", f"{WITH_V1}/v1/messages/count_tokens"),
        ("/models", f"{WITH_V1}/v1/models"),
        ("/v1/v1/models", f"{WITH_V1}/v1/models"),
        ("/chat/completions", f"{WITH_V1}/v1/chat/completions"),
        ("//v1/chat/completions", f"{WITH_V1}/v1/chat/completions"),
        ("/v1/v1/chat/completions", f"{WITH_V1}/v1/chat/completions"),
        ("/v1/chat/completions/chat/completions", f"{WITH_V1}/v1/chat/completions"),
        ("/responses", f"{WITH_V1}/v1/responses"),
        ("/embeddings", f"{WITH_V1}/v1/embeddings"),
        ("/files", f"{WITH_V1}/v1/files"),
        ("/responses/resp_1", f"{WITH_V1}/v1/responses"),
        ("/images/generations", f"{WITH_V1}/v1/images"),
        ("//v1/moderations", f"{WITH_V1}/v1/moderations"),
        ("/v1/v1/batches/b", f"{WITH_V1}/v1/batches"),
        ("/v1/v1/messages/batches", f"{ALONE}/v1/messages/batches"),
        ("/messages/batches", f"{WITH_V1}/v1/messages/batches"),
        ("/v1/threads/t1/messages", CONFIGURED),
        ("/tokenize", CONFIGURED),
    ],
)  # fmt: skip
def test_a_wrong_base_url_is_told_with_the_right_one(path, expected):
    """What an SDK appends shows which one it is; the port is the one that it has called."""
    error = path_not_found(path, DIALECTS.endpoints, _At8123())

    assert f"no such path: {path}{expected}" == error.message


@pytest.mark.parametrize(
    "path",
    ["/openai/deployments/gpt-4o/chat/completions", "/deployments/gpt-4o/embeddings", "/openai/responses"],
)  # fmt: skip
def test_azures_own_client_is_told_that_another_one_asks_for_paths_that_are_served(path):
    """No base URL makes it ask for others."""
    error = path_not_found(path, DIALECTS.endpoints, _At8123())
    is_by_deployment = "deployments" in path

    assert is_by_deployment == (
        f"no such path: {path}; Azure's client asks so: use OpenAI's own, with the base URL "
        "http://localhost:8123/v1" == error.message
    )


@pytest.mark.parametrize("path", ["/v1/files/f1", "/v1/moderations", "/v1/messages/batches"])
def test_a_path_that_no_entry_serves_is_told_how_to_be_sent_somewhere(path):
    """It is known; only nobody can be meant."""
    assert (
        f"{path} is a path of providers, and no entry is known to serve it; `passthrough` in the "
        "config names the provider that a path goes to"
    ) == path_not_found(path, DIALECTS.endpoints, None).message


@pytest.mark.parametrize("transport", [None, FakeTransport()])
def test_without_a_connection_no_port_is_guessed(transport):
    """The app is gone, or its transport does not tell."""
    error = path_not_found("/responses", DIALECTS.endpoints, transport)

    assert "as in http://localhost/v1, which" in error.message


def test_a_long_path_is_cut_short():
    """An error does not grow with what was sent."""
    assert len(path_not_found("/" + "x" * 60_000, DIALECTS.endpoints, None).message) < 300
