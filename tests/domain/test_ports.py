"""The ports of a call have what their implementers have, and no more."""

from __future__ import annotations

import inspect

import pytest

from sidecar.domain.ports import Downstream, Reply
from sidecar.http1.response import UpstreamResponse
from sidecar.listener.response_writer import ResponseWriter
from sidecar.upstream.buffered_reply import BufferedReply


def _methods(port: type) -> dict[str, list[str]]:
    """Public method -> the names of its parameters."""
    return {
        name: list(inspect.signature(member).parameters)
        for name, member in vars(port).items()
        if not name.startswith("_") and inspect.isfunction(member)
    }


@pytest.mark.parametrize(
    ("port", "implementer"),
    [(Reply, UpstreamResponse), (Reply, BufferedReply), (Downstream, ResponseWriter)],
)
def test_an_implementer_has_the_ports_methods(port, implementer):
    """With the same parameters, so that a caller may name them."""
    wanted = _methods(port)
    found = {
        name: list(inspect.signature(getattr(implementer, name)).parameters) for name in wanted
    }

    assert wanted == found
    assert wanted
