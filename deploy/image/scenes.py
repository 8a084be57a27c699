"""The configs with which the image is measured, and the load."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from deploy.observe.child import find_program, running_child
from sidecar.demo.provider import DemoProvider
from tests.support.net import exchange, free_port, json_request

_PROMPT_BYTES: Final = 20_000
"""A conversation of some turns."""
_TOKEN_GAP_S: Final = 0.15
_STREAM_LIMIT_S: Final = 120.0
_TRIES: Final = 100


class Scene(NamedTuple):
    """A config, and the ports that it opens."""

    name: str
    config: dict[str, Any]
    data_port: int
    admin_port: int


def scene(name: str, provider_url: str, redis_port: int | None, *, is_traced: bool) -> Scene:
    """Return the README's config with the demo provider in the place of others: aliases, routes,
    a router model. Pins are in Redis where there is one. Spans go to a port that nobody listens on.
    """
    data, admin, operators = free_port(), free_port(), free_port()
    entry = {"base_url": provider_url, "access_key": "sk-demo"}
    config: dict[str, Any] = {
        "version": "v0.4.0",
        "listeners": [{"type": "model", "name": "llm", "address": "127.0.0.1", "port": data}],
        "admin": {"address": "127.0.0.1", "port": admin, "operator_address": f"[::1]:{operators}"},
        "model_providers": [
            {"model": "openai/gpt-4o-mini", "default": True, **entry},
            {"model": "anthropic/claude-sonnet-5", **entry},
            {"model": "groq/*", **entry},
            {"model": "vllm/qwen3-4b", **entry},
        ],
        "model_aliases": {"fast": {"target": "openai/gpt-4o-mini"}},
        "overrides": {"llm_routing_model": "vllm/qwen3-4b"},
        "routing_preferences": [
            {
                "name": "code generation",
                "description": "writing new functions, scripts or boilerplate",
                "models": ["anthropic/claude-sonnet-5", "openai/gpt-4o-mini"],
            },
            {
                "name": "summaries",
                "description": "summarizing notes, mails and documents",
                "models": ["openai/gpt-4o-mini", "anthropic/claude-sonnet-5"],
            },
        ],
        "drain": {"quiet_s": 0, "grace_s": 10},
    }
    if redis_port is not None:
        cache = {"type": "redis", "url": f"redis://127.0.0.1:{redis_port}/0", "tenant": "demo"}
        config["routing"] = {"session_cache": cache}
    if is_traced:
        endpoint = f"http://127.0.0.1:{free_port()}"
        config["tracing"] = {"otlp_endpoint": endpoint, "random_sampling": 100}
    return Scene(name, config, data, admin)


@contextlib.asynccontextmanager
async def demo_provider() -> AsyncIterator[DemoProvider]:
    """A provider whose streams take seconds, while the context lasts."""
    async with DemoProvider(token_gap_s=_TOKEN_GAP_S) as provider:
        yield provider


@contextlib.asynccontextmanager
async def redis_server(work: Path) -> AsyncIterator[int]:
    """A Redis while the context lasts; its port. Raises: ProgramMissing, TimeoutError."""
    port, log = free_port(), work / "redis.log"
    command = [find_program("redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
    async with running_child(*command, "--save", "", stdout=log, stderr=log):
        for _ in range(_TRIES):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                yield port
                return
            await asyncio.sleep(0.05)
        raise TimeoutError(log.read_text())


async def streams(port: int, number: int) -> int:
    """Make streamed calls at a time, each of a session of its own. Returns: how many ended well."""
    replies = await asyncio.gather(*(_stream(port, session) for session in range(number)))
    return sum(replies)


async def _stream(port: int, session: int) -> bool:
    body = {
        "model": "openai/gpt-4o-mini",
        "stream": True,
        "messages": [{"role": "user", "content": "word " * (_PROMPT_BYTES // 5)}],
    }
    headers = {"x-model-affinity": f"session-{session}"}
    request = json_request("/v1/chat/completions", body, headers)
    reply = await exchange(port, request, limit_s=_STREAM_LIMIT_S)
    return reply.status == 200 and b"[DONE]" in reply.body


def write_config(one: Scene, folder: Path) -> Path:
    """Write a scene's config into a folder of its own. Returns: the file."""
    path = folder / one.name.replace(" ", "-") / "config.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(one.config))  # JSON is YAML
    path.parent.chmod(0o755)
    return path
