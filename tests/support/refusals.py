"""Bodies with which servers refuse requests, by what they mean: one JSON object a line in
``refusal_bodies/<meaning>.jsonl``.

Each line names its server, status and body (a text is no JSON), and the public issue, source or
reference that it is from; ``recalled`` where none was at hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

_BODIES: Final = Path(__file__).parent / "refusal_bodies"


def refusals(meaning: str) -> list[Any]:
    """Return the status and body of each refusal of one meaning, as parameters of a test."""
    lines = (_BODIES / f"{meaning}.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [pytest.param(row["status"], _bytes(row["body"]), id=row["server"]) for row in rows]


def _bytes(body: object) -> bytes:
    return (body if isinstance(body, str) else json.dumps(body)).encode()
