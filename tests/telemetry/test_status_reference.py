"""sidecar/telemetry/README.md lists every field of `/status`, as the code has it."""

from __future__ import annotations

import msgspec

from tests.support.live_status import a_status
from tests.support.status_reference import BEGINS, ENDS, README, fields, reference


def test_the_readme_holds_the_reference():
    """To the letter; ``python -m tests.support.status_reference`` writes it anew."""
    text = README.read_text(encoding="utf-8")
    assert [1, 1] == [text.count(BEGINS), text.count(ENDS)]
    written = text.partition(BEGINS)[2].partition(ENDS)[0]

    assert reference().strip() == written.strip()


def test_every_field_says_what_it_means():
    """In one line."""
    assert [] == [path for path, _, meaning in fields() if not meaning.endswith(".")]


def test_the_table_has_exactly_the_fields_of_a_status():
    """Read off the JSON itself."""
    status = msgspec.to_builtins(a_status())
    first = {path.partition(".")[0].removesuffix("[]") for path, *_ in fields()}

    assert set(status) == first
    for name in ("build", "config", "store", "router", "first_byte", "routing"):
        nested = {path.partition(".")[2] for path, *_ in fields() if path.startswith(f"{name}.")}
        inner = {path for path in nested if "." not in path}
        assert set(status[name]) == inner
    assert set(status["config"]["reload"]) == {
        path.rpartition(".")[2] for path, *_ in fields() if path.startswith("config.reload.")
    }
    (candidate, *_) = status["candidates"]
    assert set(candidate) == {
        path.partition("[].")[2] for path, *_ in fields() if path.startswith("candidates[].")
    }
