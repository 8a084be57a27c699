"""What a config gives away is told, by `check` and by the log; nothing of it is repeated."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sidecar.config.address import HEADER_VALUE_BYTES_AT_MOST
from sidecar.config.exposure import warn_of_exposure
from sidecar.config.load import load_config
from sidecar.config.report import Report
from sidecar.config.schema import Config
from sidecar.domain.errors import ConfigError
from sidecar.runtime.file_watch import FILE_BYTES_AT_MOST, FileReader
from tests.config.loading import ONE_PROVIDER, problems, warnings

KEY = "sk-proj-0123456789"
INLINE = "stands in the file, for all who may read that: write $VAR or ${file:/path}"
VARIABLE = "is sent as it stands, and looks like the name of a variable: write $"
PLACEHOLDER = "is sent as it stands, and looks like a placeholder: write $OPENAI_API_KEY"
CLEAR = "goes over the network in the clear: use "


def test_a_config_of_defaults_gives_nothing_away():
    """It listens on loopback and holds nothing."""
    report = Report("f")
    warn_of_exposure(Config(model_providers=()), report)

    assert [] == report.warnings


def exposed(text: str, **environ: str) -> list[str]:
    """``path: message`` of each warning that is not about a missing default."""
    found = [each.partition(": ")[2] for each in warnings(text, **environ)]
    return [each for each in found if not each.startswith("model_providers: ")]


def of_entry(entry: str, **environ: str) -> list[str]:
    """The same of a single entry of `model_providers`, its own path left out."""
    found = exposed(
        f"model_providers: [{{model: openai/gpt-4o, default: true, {entry}}}]", **environ
    )
    return [each.removeprefix("model_providers[0].") for each in found]


@pytest.mark.parametrize(
    ("address", "is_told"),
    [
        ("0.0.0.0", True),
        ("'::'", True),
        ("10.0.0.1", True),
        ("127.0.0.1", False),
        ("127.0.0.5", False),
        ("'::1'", False),
        ("localhost", False),
    ],
)
def test_a_data_port_beyond_loopback_is_told(address, is_told):
    """Other pods call by it with this pod's keys."""
    found = exposed(f"listeners: [{{address: {address}}}]\n{ONE_PROVIDER}")

    assert is_told == any(each.startswith("listeners[0].address: is beyond") for each in found)
    assert is_told == bool(found)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (f"access_key: {KEY}", [f"access_key: {INLINE}"]),
        (f"access_key: 'a$${KEY}'", [f"access_key: {INLINE}"]),
        (f"access_key: '${{UNSET:-{KEY}}}'", [f"access_key: {INLINE}"]),
        (f"headers: {{X-API-Key: {KEY}}}, access_key: $K", [f"headers.X-API-Key: {INLINE}"]),
        (
            f"headers: {{X-Corp-Api-Key: {KEY}}}, access_key: $K",
            [f"headers.X-Corp-Api-Key: {INLINE}"],
        ),
        (
            f"headers: {{Ocp-Apim-Subscription-Key: {KEY}}}, access_key: $K",
            [f"headers.Ocp-Apim-Subscription-Key: {INLINE}"],
        ),
        (
            f"headers: {{cf-aig-authorization: {KEY}}}, access_key: $K",
            [f"headers.cf-aig-authorization: {INLINE}"],
        ),
        (
            f"headers: {{X_PORTAL_TOKEN: {KEY}}}, access_key: $K",
            [f"headers.X_PORTAL_TOKEN: {INLINE}"],
        ),
        (f"headers: {{apikey: {KEY}}}, access_key: $K", [f"headers.apikey: {INLINE}"]),
        (
            f"headers: {{x-client-secret: {KEY}}}, access_key: $K",
            [f"headers.x-client-secret: {INLINE}"],
        ),
        ("headers: {x-corp-token: '$K'}, access_key: $K", []),
        ("headers: {x-max-tokens: '4096000000'}, access_key: $K", []),
        ("headers: {x-cache-key: team-0123456789}, access_key: $K", []),
        ("headers: {x-tokenizer: cl100k-base-0}, access_key: $K", []),
        ("headers: {x-team: team-0123456789}, access_key: $K", []),
        ("headers: {api-key: '$K'}, access_key: none", []),
        ("access_key: $K", []),
        ("access_key: '${K}'", []),
        ("access_key: 'a$K'", []),
        ("access_key: short", []),
        (f"access_key: {KEY}, base_url: 'http://127.0.0.1:11434'", []),
        (f"access_key: {KEY}, base_url: 'http://host.docker.internal:8000'", []),
        (f"access_key: {KEY}, base_url: 'https://llm.example'", [f"access_key: {INLINE}"]),
    ],
)
def test_a_key_in_the_file_is_told(entry, expected):
    """Whoever may read a ConfigMap has it; a server of this machine wants none that is worth it."""
    assert expected == of_entry(entry, K=KEY)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("os.environ/OPENAI_KEY", "OPENAI_KEY"),
        ('os.environ["OPENAI_KEY"]', "OPENAI_KEY"),
        ("os.environ.get('OPENAI_KEY')", "OPENAI_KEY"),
        ('os.getenv("OPENAI_KEY")', "OPENAI_KEY"),
        ("env.X", "X"),
        ("env:OPENAI_KEY", "OPENAI_KEY"),
        ("process.env.OPENAI_KEY", "OPENAI_KEY"),
        ("{env:OPENAI_KEY}", "OPENAI_KEY"),
        ("{{ OPENAI_KEY }}", "OPENAI_KEY"),
        ("{{ .Values.openaiKey }}", "openaiKey"),
        ('{{ env "OPENAI_KEY" }}', "OPENAI_KEY"),
        ("{{ OPENAI_KEY | quote }}", "OPENAI_KEY"),
        ("%OPENAI_KEY%", "OPENAI_KEY"),
    ],
)
def test_a_variable_of_another_tools_spelling_is_told_ours(written, name):
    """It would be sent as the key, and every call be refused."""
    quoted = written.replace("'", "''")
    entry = f"{{model: openai/gpt-4o, default: true, access_key: '{quoted}'}}"

    [problem] = problems(f"model_providers: [{entry}]")
    assert problem.endswith(
        "access_key: is the name of a variable in another tool's spelling: write $" + name
    )


def test_what_may_be_the_name_of_a_variable_is_a_warning():
    """A server of one's own may have been given such a key."""
    entry = "access_key: OPENAI_API_KEY"

    assert [f"access_key: {VARIABLE}OPENAI_API_KEY"] == of_entry(entry)


def test_a_password_in_another_tools_spelling_is_a_warning():
    """It may be one: passwords are chosen by people."""
    cache = "session_cache: {type: redis, url: 'redis://127.0.0.1', password: '%PASSWORD%'}"

    [warning] = exposed(f"{ONE_PROVIDER}routing: {{{cache}}}\n")
    assert warning.endswith(VARIABLE + "PASSWORD")


@pytest.mark.parametrize(
    "written",
    ["<your key>", "[your key]", "YOUR_API_KEY", "your-openai-key", "sk-...", "sk-xxxxxxxx",
     "changeme", "REPLACE_ME", "TODO", "***", "my-api-key"],
)  # fmt: skip
def test_a_placeholder_is_told_the_families_variable(written):
    """What the README of another project had there."""
    assert [f"access_key: {PLACEHOLDER}"] == of_entry(f"access_key: '{written}'")


def test_an_unknown_family_has_no_variable_of_its_own():
    """Then any name will do."""
    entry = "{model: own/x, access_key: <key>, base_url: 'https://x', provider_interface: openai}"

    assert [f"model_providers[0].access_key: {PLACEHOLDER[:-14]}API_KEY"] == exposed(
        f"model_providers: [{entry}]"
    )


@pytest.mark.parametrize("written", ["ollama", "EMPTY", "not-needed", "sk-no-key-required", "none"])
def test_what_people_write_where_no_key_is_wanted_is_no_secret(written):
    """Neither in the file nor on the way."""
    assert [] == of_entry(f"access_key: {written}, base_url: 'http://vllm.llm.svc:8000'")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("access_key: $K, base_url: 'http://llm.svc:8000'", "the key"),
        ("access_key: $K, base_url: 'HTTP://10.0.0.1'", "the key"),
        ("passthrough_auth: true, base_url: 'http://llm.svc'", "the caller's key"),
        ("headers: {api-key: $K}, base_url: 'http://llm.svc'", "the key"),
        ("base_url: 'http://llm.svc'", None),
        ("headers: {x-team: $K}, base_url: 'http://llm.svc'", None),
        ("access_key: $K, base_url: 'https://llm.svc'", None),
        ("access_key: $K, base_url: 'http://localhost:8000'", None),
        ("access_key: $K, base_url: 'http://[::1]:8000'", None),
        ("passthrough_auth: true, base_url: 'http://127.0.0.1'", None),
        ("passthrough_auth: true", None),
    ],
)
def test_a_key_on_its_way_in_the_clear_is_told(entry, expected):
    """Whoever sits on the way reads it; on this machine nobody does."""
    warning = f"base_url: {expected} {CLEAR}https://, unless a mesh encrypts"

    assert ([] if expected is None else [warning]) == of_entry(entry, K=KEY)


REDIS_CLEAR = f"url: the password {CLEAR}rediss://"


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ("url: 'redis://redis:6379/0'", []),
        ("url: 'redis://redis', password: $P", [REDIS_CLEAR]),
        ("url: 'redis://app:$P@redis'", [REDIS_CLEAR]),
        ("url: $U", [REDIS_CLEAR]),
        ("url: 'redis://redis', password: hunter2", [f"password: {INLINE}", REDIS_CLEAR]),
        ("url: 'redis://:hunter2@redis'", [f"url: {INLINE}", REDIS_CLEAR]),
        ("url: 'rediss://:hunter2@redis'", [f"url: {INLINE}"]),
        ("url: 'rediss://redis', password: $P", []),
        ("url: 'redis://localhost', password: $P", []),
        ("url: 'redis://127.0.0.1:6379/0', password: $P", []),
        ("url: 'redis://redis', password: env.P", [f"password: {VARIABLE}P", REDIS_CLEAR]),
        ("url: 'redis://redis', username: app", []),
    ],
)
def test_redis_password_in_the_file_or_in_the_clear_is_told(cache, expected):
    """With it pins of every tenant can be read and written."""
    text = f"{ONE_PROVIDER}routing: {{session_cache: {{type: redis, {cache}}}}}"
    found = exposed(text, P="hunter2", U="redis://:hunter2@redis")

    assert sorted(f"routing.session_cache.{each}" for each in expected) == sorted(found)


def test_urls_with_a_password_are_told_too():
    """Of sources and of the collector of spans."""
    text = (
        "model_metrics_sources: [{type: latency, provider: prometheus, query: up,"
        " url: 'http://u:hunter2@prometheus'}]\n"
        "tracing: {otlp_endpoint: 'https://u:$P@otel'}\n"
    )

    assert [
        f"model_metrics_sources[0].url: {INLINE}",
        f"model_metrics_sources[0].url: its password {CLEAR}https://",
    ] == exposed(text + ONE_PROVIDER, P="hunter2")


def test_a_url_that_cannot_be_read_is_another_checks_problem():
    """It is not looked into for a password, or for a host."""
    entry = "{model: openai/gpt-4o, access_key: $K, base_url: 'http://[x'}"
    found = problems(
        f"model_providers: [{entry}]\nrouting: {{session_cache: {{type: redis, url: 'redis://[x'}}}}",
        K=KEY,
    )

    assert ["model_providers[0].base_url", "routing.session_cache.url"] == [
        each.split(": ")[1] for each in found
    ]


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _huge(path: Path) -> None:
    path.write_bytes(b"k" * (FILE_BYTES_AT_MOST + 1))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_fifo, "is no regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is no regular file"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (_huge, f"is larger than {FILE_BYTES_AT_MOST} bytes"),
    ],
)
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("model_providers:\n- {model: openai/a, access_key: '${file:f}'}\n",
         "2: model_providers[0].access_key"),
        (ONE_PROVIDER + "routing: {prompt_template: '${file:f}'}\n", "2: routing.prompt_template"),
        (ONE_PROVIDER + "routing: {session_cache: {password: 'a${file:f}'}}\n",
         "2: routing.session_cache.password"),
    ],
)  # fmt: skip
def test_a_named_file_that_is_none_or_is_huge_is_a_problem_of_its_place(
    tmp_path, text, place, make, why
):
    """A start, a check and a reload read the same way: none waits for a pipe, or reads on for
    ever.
    """
    make(tmp_path / "f")
    file = tmp_path / "c.yaml"
    file.write_text(text)
    for reader in (None, FileReader()):
        with pytest.raises(ConfigError) as refused:
            load_config(file, {}, reader)

        assert [f"{file}:{place}: file 'f' {why}"] == refused.value.problems


@pytest.mark.parametrize("key", ["access_key", "headers: {x-key"])
def test_what_no_header_can_hold_is_a_problem(tmp_path, key):
    """Another file than the key's, say: every call would be refused for it."""
    (tmp_path / "f").write_bytes(b"k" * (HEADER_VALUE_BYTES_AT_MOST + 1))
    file, end = tmp_path / "c.yaml", "}" if "{" in key else ""
    file.write_text(f"model_providers: [{{model: openai/a, {key}: '${{file:f}}'{end}}}]")
    with pytest.raises(ConfigError) as refused:
        load_config(file, {})

    place = "headers.x-key" if end else "access_key"
    why = f"is longer than {HEADER_VALUE_BYTES_AT_MOST} bytes, which no provider takes"
    assert [f"{file}:1: model_providers[0].{place}: {why}"] == refused.value.problems


def test_no_warning_repeats_a_secret():
    """They go to logs and to `/config_dump`."""
    text = (
        f"model_providers: [{{model: openai/gpt-4o, access_key: {KEY}, base_url: 'http://x'}}]\n"
        "routing: {session_cache: {type: redis, url: 'redis://u:hunter2@h', password: tr0ub4dor}}"
    )
    found = "".join(warnings(text))

    assert not any(secret in found for secret in (KEY, "hunter2", "tr0ub4dor"))


CREDENTIALS = [
    "Authorization", "proxy-authorization", "Cookie", "set-cookie", "x-api-key", "API-Key",
    "x-goog-api-key", "x-auth-token", "x-amz-security-token", "x-auth-request-access-token",
    "cf-access-jwt-assertion",
]  # fmt: skip


@pytest.mark.parametrize("name", CREDENTIALS)
@pytest.mark.parametrize(
    "key",
    [
        "routing: {{session_cache: {{tenant_header: {}}}}}",
        "routing: {{session_headers: [{}]}}",
        "routing: {{agent_headers: [{}]}}",
        "propagate: [{}]",
    ],
)
def test_a_header_that_carries_a_credential_is_no_name_and_goes_to_no_provider(name, key):
    """As a name it would stand in keys of Redis and on pages; propagated, every provider had it."""
    (problem,) = problems(f"{ONE_PROVIDER}{key.format(name)}")

    assert f"'{name}'" in problem


@pytest.mark.parametrize(
    "name",
    ["X-OpenAI-Api-Key", "ocp-apim-subscription-key", "xi-api-key", "X-Vault-Token", "id_token",
     "x-forwarded-authorization", "X-Corp-Secret", "x-user-jwt"],
)  # fmt: skip
@pytest.mark.parametrize(
    "key",
    [
        "routing: {{session_cache: {{tenant_header: {}}}}}",
        "routing: {{session_headers: [{}]}}",
        "routing: {{agent_headers: [{}]}}",
    ],
)
def test_a_header_that_is_called_like_a_credential_is_no_name_either(name, key):
    """Whoever made it up: nobody can list them all."""
    (problem,) = problems(f"{ONE_PROVIDER}{key.format(name)}")

    assert f"'{name}' carries a credential" in problem
