"""What to do, for each phrase of a cause."""

from __future__ import annotations

import pytest

from sidecar.doctor.advice import ENTRY, SOURCE, STORE, TRACING, advice_on
from sidecar.http1.cause import _OF_CERTIFICATE, _OF_ERROR, _OF_NUMBER

PHRASES = sorted(
    {
        *_OF_NUMBER.values(),
        *_OF_CERTIFICATE.values(),
        *(phrase for _, phrase in _OF_ERROR),
        "name not valid",
        "name not found",
        "name server does not answer",
        "no TLS there",
        "TLS refused",
        "certificate expired on 2026-11-27",
        "the proxy p:1 refused the tunnel (403)",
        "it could not be reached",
        "a reply that is not Redis's",
        "no reply in time; where it speaks no TLS, the URL begins with redis://",
        "OTEL_EXPORTER_OTLP_CERTIFICATE names no file that can be read",
    }
)


@pytest.mark.parametrize("phrase", PHRASES)
def test_every_cause_has_a_sentence(phrase):
    """It ends properly, and no place in it is left empty."""
    sentences = [advice_on(phrase, "host:1", keys) for keys in (ENTRY, STORE, SOURCE, TRACING)]

    assert all(each[0].isupper() and each[-1] in ".1" for each in sentences), sentences
    assert all("{" not in each and "  " not in each for each in sentences), sentences


def test_it_names_the_key_of_what_was_asked():
    """The same cause is mended in another place of the config."""
    assert "base_url of this entry" in advice_on("connection refused", "a:1", ENTRY)
    assert "session_cache.url" in advice_on("connection refused", "a:1", STORE)


@pytest.mark.parametrize(
    ("late_at", "word"),
    [
        ("the name server is silent", "resolv.conf"),
        ("the proxy is silent", "HTTPS_PROXY:"),
        ("TLS is not answered", "does not speak TLS"),
    ],
)
def test_what_was_late_is_what_is_looked_at(late_at, word):
    """Not each connection that does not come about is a firewall's fault."""
    cause = f"no connection within 2 s (timeouts.connect_s): {late_at}"

    assert word in advice_on(cause, "a:1", ENTRY)


def test_what_is_not_known_has_advice_as_well():
    """Where to look."""
    assert "Check url of this source, and the log of the server at a:1." == advice_on(
        "something new", "a:1", SOURCE
    )
