"""Whatever stands in the file, loading ends in a config or in a ConfigError, and tells no
secret.
"""

from __future__ import annotations

import json
import urllib.parse

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config.secret import redacted
from sidecar.domain.errors import ConfigError
from tests.config.loading import load

KEYS = [
    "model_providers", "llm_providers", "model", "access_key", "name", "listeners", "routing", "session_cache", "url",
    "timeouts", "connect_s", "headers", "optional", "default", "version", "egress_traffic", "routing_preferences",
    "models", "description", "dialects", "chat", "path", "passthrough", "base_url", "model_aliases", "target", "<<",
]  # fmt: skip
WORDS = [
    "openai/a",
    "anthropic/*",
    "redis",
    "true",
    "1",
    "-1",
    "$S",
    "${S}",
    "${file:/no}",
    "$$",
    "v0.3.0",
    "http://h",
    "*",
    "&",
]
SECRET = "sk-Zq7!Zq7"
VALUES = st.recursive(
    st.sampled_from(WORDS)
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=12,
)


def outcome(text: str) -> str:
    """All that loading tells: problems, or the redacted config and the warnings."""
    try:
        loaded = load(text.encode("utf-8", "surrogatepass"), S=SECRET)
    except ConfigError as error:
        reported = error.problems
    else:
        reported = [*loaded.warnings, repr(loaded.providers)]
    assert reported
    assert [line for line in reported if "\n" in line] == []
    return "\n".join(reported)


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_any_text(text):
    """No text raises anything else."""
    outcome(text)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
def test_any_document(document):
    """No document raises anything else, and no message repeats what a reference expanded to."""
    text = yaml.safe_dump(document)
    reported = outcome(text)
    assert "Zq7" not in reported.replace(f"name='{SECRET}'", "")


@settings(max_examples=30)
@given(st.text("abcXYZ019!#%/:@", min_size=6, max_size=20))
def test_redaction(secret):
    """No secret stands in a redacted config, whatever characters it is made of."""
    escaped = urllib.parse.quote(secret, safe="")
    text = yaml.safe_dump(
        {
            "model_providers": [
                {"model": "openai/a", "access_key": secret, "headers": {"h": secret}}
            ],
            "routing": {
                "session_cache": {
                    "type": "redis",
                    "url": f"redis://:{escaped}@h",
                    "password": secret,
                }
            },
            "tracing": {"otlp_endpoint": f"http://u:{escaped}@otel"},
        }
    )
    shown = json.dumps(redacted(load(text).config))
    assert (False, False) == (secret in shown, escaped in shown)
