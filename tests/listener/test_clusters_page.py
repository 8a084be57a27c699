"""Provider entries as a person and as a program read them."""

from __future__ import annotations

import msgspec

from sidecar.listener.clusters_page import (
    ClustersPage,
    EntryConnections,
    EntryFailure,
    ShownEntry,
    entries_text,
)
from sidecar.listener.operators import OperatorAccess, Operators
from tests.listener.pages import running_pages
from tests.support.net import exchange, raw_request

SERVING = ShownEntry(
    entry="openai/gpt-4o",
    family="openai",
    model="openai/gpt-4o",
    is_router=False,
    base_url="https://api.openai.com:443/v1",
    dialects=["chat", "responses"],
    state="serving",
    reason=None,
    due_s=None,
    connections=EntryConnections(1, 2),
    first_byte_s=0.25,
    first_byte_samples=7,
    last_failure=None,
)
EJECTED = msgspec.structs.replace(
    SERVING,
    entry="eu",
    is_router=True,
    dialects=[],
    state="ejected",
    reason="our_credential",
    due_s=299.6,
    first_byte_s=None,
    last_failure=EntryFailure(
        12.3, "openai/gpt-4o", "our_credential", "credential refused", 401, "bad", "put a key"
    ),
    key_renewed_ago_s=33.4,
)


async def _ask(target: str, **headers: str):
    pages = ClustersPage(lambda: [SERVING, EJECTED]).pages()
    async with running_pages(Operators(pages, OperatorAccess()).handle) as running:
        return await exchange(running.port, raw_request("GET", target, headers=headers))


async def test_a_program_reads_json():
    """All facts under their names."""
    reply = await _ask("/clusters")

    assert msgspec.to_builtins({"entries": [SERVING, EJECTED]}) == reply.json()


async def test_a_person_reads_a_table():
    """A line each: state and why, when it is due, what failed last and what to do."""
    reply = await _ask("/clusters?format=text")
    head, serving, ejected = reply.body.decode().splitlines()

    assert entries_text([SERVING, EJECTED]) == reply.body.decode()
    assert ["ENTRY", "FAMILY"] == head.split()[:2]
    assert serving.endswith(
        "serving                   -      1 active, 2 idle  0.250 s of 7  -                 -"
    )
    assert "openai/gpt-4o (router)" in ejected
    assert "ejected (our_credential)  300 s" in ejected
    assert "renewed 33 s ago" in ejected
    assert ejected.endswith("12 s ago: credential refused: put a key")
    assert reply.body == (await _ask("/clusters", accept="text/plain")).body
