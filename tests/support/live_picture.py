"""Takes the picture of the live page that the README shows: real calls through a real sidecar, some
of which a provider fails.

``python -m tests.support.live_picture [FILE]``; it takes a minute and a half.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.async_api import Route

from sidecar.runtime.lifecycle import Tasks
from tests.support.browser import running_browser, watched_page
from tests.support.redis_server import redis_server
from tests.support.routed import CHAT, MESSAGES, Routed, routed

PICTURE: Final = Path(__file__).parents[2] / "deploy" / "pictures" / "live-page.png"
SHOWN_S: Final = 75.0
"""A full minute, and the beginning of the charts."""
SONNET, LLAMA = "anthropic/claude-sonnet-5", "groq/llama-3.3-70b"
GPT, MINI = "openai/gpt-4o", "openai/gpt-4o-mini"
ROUTES: Final = [
    {
        "name": "code generation",
        "description": "writing new functions, scripts or boilerplate",
        "models": [GPT, SONNET, MINI],
    },
    {
        "name": "summaries",
        "description": "making long texts short",
        "models": [LLAMA, SONNET, MINI],
    },
]
TEXTS: Final = ("Write a new function", "Make this long text short", "Translate this mail")


def _config(provider_url: str, redis_url: str) -> dict[str, Any]:
    entries: list[dict[str, Any]] = [
        {"model": each, "access_key": "sk-demo", "base_url": provider_url}
        for each in (MINI, GPT, SONNET, LLAMA)
    ]
    entries[0]["default"] = True
    cache = {"type": "redis", "url": redis_url, "tenant": "demo"}
    return {
        "model_providers": entries,
        "routing_preferences": ROUTES,
        "routing": {"session_cache": cache},
    }


async def _load(sidecar: Routed, worker: int) -> None:
    """Make call after call, most of them of sessions that have begun."""
    for number in itertools.count():
        text = TEXTS[(worker + number // 9) % len(TEXTS)]
        headers = {"x-model-affinity": f"session {worker} {number // 9}"}
        is_messages = number % 7 == 6
        await sidecar.ask(
            text,
            path=MESSAGES if is_messages else CHAT,
            model=SONNET if is_messages else MINI,
            headers=headers,
            stream=number % 3 == 0,
        )
        await asyncio.sleep(0.15 + 0.1 * (number % 5))


async def _in_a_pod(route: Route) -> None:
    """Let the names be those of a pod, not those of a test."""
    response = await route.fetch()
    status = await response.json()
    status["host"] = "app-7d4f9c6b5-x2x7q"
    status["config"]["file"] = "/etc/plano/sidecar.yaml"
    status["store"]["place"] = "redis at redis:6379"
    await route.fulfill(response=response, json=status)


async def take(file: Path) -> None:
    """Take the picture."""
    async with redis_server("7") as redis, running_browser() as browser:
        adapt = lambda url: _config(url, redis.url)  # noqa: E731 # one expression, used once
        async with routed(adapt=adapt) as sidecar:
            script = sidecar.provider.script
            script.always("slow delay=0.4", model="claude-sonnet-5")
            url = f"http://127.0.0.1:{sidecar.app.ports.operators}/"
            options: dict[str, Any] = {"viewport": {"width": 1200, "height": 1180}}
            async with watched_page(browser, url, **options) as shown:
                await shown.page.route("**/status", _in_a_pod)
                workers = Tasks()
                for each in range(5):
                    workers.spawn(_load(sidecar, each), name="load")
                await asyncio.sleep(SHOWN_S - 20)
                script.always("401", model="llama-3.3-70b")
                await asyncio.sleep(12)
                script.next("529", model="claude-sonnet-5", times=6)
                await shown.page.locator("#calls tr.failed").first.wait_for()
                await shown.page.screenshot(path=file)
                await workers.aclose()
    with Image.open(file) as picture:
        picture.quantize(256).save(file, optimize=True)


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE))
