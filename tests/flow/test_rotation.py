"""Keys, passwords and certificates are rotated under load, and no call notices."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from sidecar.affinity.redis import link as redis_link
from sidecar.http1 import pool
from sidecar.upstream import registry
from tests.support.rotated import Rotated, rotated

WORKERS = 6


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at files, and replace connections, at once."""
    monkeypatch.setattr(redis_link, "PROBE_S", 0.05)
    monkeypatch.setattr(registry, "LOOK_AGAIN_S", 0.05)
    monkeypatch.setattr(pool, "REPLACED_IN_S", 0.0)


def _events(caplog: pytest.LogCaptureFixture) -> list[str]:
    names = [getattr(record, "event", "") for record in caplog.records]
    return [name for name in names if name.endswith("_renewed")]


@pytest.mark.parametrize(
    ("rotate", "lines"),
    [
        (Rotated.rotate_key, ["key_renewed"]),
        (Rotated.rotate_password, ["redis_login_renewed"]),
        (Rotated.rotate_ca, ["tls_files_renewed", "tls_files_renewed"]),
    ],
)
async def test_what_is_rotated_under_load_fails_no_call(tmp_path: Path, caplog, rotate, lines):
    """One model at one provider, so that no other candidate could hide it; each rotation is one
    line, which shows nothing of it.
    """
    with caplog.at_level(logging.INFO):
        async with rotated(tmp_path) as made:
            async with made.load(WORKERS):
                await rotate(made)
            ended = made.ended

    assert {"whole"} == set(ended)
    assert lines == _events(caplog)
    assert "key-2" not in caplog.text
    assert "password-2" not in caplog.text


async def test_a_key_that_is_rotated_is_refused_once_for_each_call_in_flight_at_most(tmp_path):
    """And those calls are sent once more: nothing is ejected, and none goes elsewhere."""
    async with rotated(tmp_path) as made:
        async with made.load(WORKERS):
            await made.rotate_key()
        sent, ended = made.provider.seen, made.ended.total()
        ejected = made.app.foundation.cooling.ejected(made.app.foundation.clock.monotonic_s())

    assert 1 <= sent - ended <= WORKERS
    assert [] == ejected
