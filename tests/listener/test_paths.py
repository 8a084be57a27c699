"""An app that asks for a path that is not served is told which base URL its SDK wants."""

from __future__ import annotations

import pytest

from sidecar.dialects.registry import DIALECTS
from sidecar.listener.paths import Paths

PATHS = Paths(DIALECTS.endpoints, ())
WITH_V1 = "; the base URL of this SDK must be the sidecar's address and /v1, as in http://localhost:12000/v1, which makes "
ALONE = "; the base URL of this SDK must be the sidecar's address alone, as in http://localhost:12000, which makes "


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
        ("/v1/files", "; `passthrough` in the config names paths that go to a provider as they are"),
        ("/v1/threads/t1/messages", "; `passthrough` in the config names paths that go to a provider as they are"),
    ],
)  # fmt: skip
def test_a_wrong_base_url_is_told_with_the_right_one(path, expected):
    """What an SDK appends shows which one it is."""
    assert f"no such path: {path}{expected}" == PATHS.why_not_found(path)


def test_a_long_path_is_cut_short():
    """An error does not grow with what was sent."""
    assert len(PATHS.why_not_found("/" + "x" * 60_000)) < 300
