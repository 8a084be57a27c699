"""Sends the sixty requests through LiteLLM to a provider that writes down what it gets.

Runs in an environment of its own, where LiteLLM is installed, and imports nothing from here:

    python litellm_side.py requests.json results.json
"""

from __future__ import annotations

import asyncio
import http.server
import importlib
import json
import logging
import sys
import threading
from pathlib import Path
from typing import Any

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Warm."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
MESSAGES = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Warm."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
RECEIVED: list[Any] = []
MODELS = {
    ("chat", "messages"): "anthropic/claude-sonnet-4-5",
    ("responses", "messages"): "anthropic/claude-sonnet-4-5",
    ("messages", "chat"): "hosted_vllm/qwen3",
    ("responses", "chat"): "deepseek/deepseek-chat",
}
"""Each of a provider for which LiteLLM translates: it sends some APIs on as they are."""


class Provider(http.server.BaseHTTPRequestHandler):
    """Writes every request down."""

    def do_POST(self) -> None:
        """Respond in the API of the path."""
        body = self.rfile.read(int(self.headers["content-length"]))
        RECEIVED.append(json.loads(body))
        reply = json.dumps(MESSAGES if "messages" in self.path else CHAT).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


async def send(litellm: Any, source: str, target: str, body: dict[str, Any], url: str) -> None:
    """Send one request."""
    base = url if target == "messages" else f"{url}/v1"
    more = {"model": MODELS[source, target], "api_base": base, "api_key": "k", **body}
    if source == "chat":
        await litellm.acompletion(**more)
    elif source == "messages":
        await litellm.anthropic.messages.acreate(**more)
    else:
        await litellm.aresponses(**more)


async def main(rows: Path, results: Path) -> None:
    """Send all requests, each as LiteLLM does by default."""
    litellm: Any = importlib.import_module("litellm")
    logging.disable(logging.CRITICAL)
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    found = []
    for _name, source, target, body in json.loads(rows.read_text()):
        RECEIVED.clear()
        error = ""
        try:
            async with asyncio.timeout(20):
                await send(litellm, source, target, body, url)
        except Exception as raised:  # what it raises is what is asked
            error = f"{type(raised).__name__}: {raised}"[:200]
        found.append({"body": RECEIVED[-1] if RECEIVED else None, "error": error})
    results.write_text(json.dumps({"version": _version(), "found": found}))


def _version() -> str:
    from importlib.metadata import version

    return version("litellm")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
