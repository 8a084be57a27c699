"""Small texts of others: headers, traces, paths, stored pins, router models' words, configs."""

from __future__ import annotations

import json
import posixpath
from urllib.parse import unquote

import yaml
from hypothesis import strategies as st

from sidecar.affinity.value import MAX_BYTES, decode, fit
from sidecar.domain.errors import (
    ConfigError,
    HeadersTooLarge,
    InvalidHeader,
    MalformedRequest,
    UnsupportedEncoding,
)
from sidecar.listener.paths import Paths, check_target
from sidecar.routing.answer import read_answer, read_completion
from sidecar.runtime.yaml_composer import BoundedComposer
from sidecar.wire.client_timeouts import timeouts_of
from sidecar.wire.headers import HeaderPolicy
from sidecar.wire.request_headers import (
    agent_of,
    read_headers,
    request_id_of,
    session_id_of,
    tenant_of,
)
from sidecar.wire.trace_context import trace_context_of, trace_lines
from tests.config.loading import load
from tests.fuzz.properties import damaged, holds_for

POLICY = HeaderPolicy(
    ("x-model-affinity", "session_id"), "x-org", frozenset({"x-extra"}), ("x-agent",)
)
NAMES = st.sampled_from(
    [b"Connection", b"x-model-affinity", b"session_id", b"X-Org", b"x-agent", b"Accept", b"x-request-id", b"x-extra", b"x-plano-timeout-ms", b"x-stainless-timeout", b"transfer-encoding", b"content-encoding", b"upgrade", b"Cookie", b"traceparent", b"Authorization", b"host", b"sec-fetch-site", b"origin", b"content-length"]
) | st.binary(max_size=6)  # fmt: skip
VALUES = damaged(
    [b"close", b"keep-alive, x-model-affinity", b"s1", b"60", b"1e3", b"chunked", b"gzip, chunked", b"websocket", b"\xc3\xa9"],
    [b",", b" ", b"\t", b"\r\n", b"\x00", b"\xff", b"upgrade", b"a" * 5000, b"-1", b"."],
)  # fmt: skip


@holds_for(st.lists(st.tuples(NAMES, VALUES), max_size=6))
def test_any_fields_are_read_or_refused(raw):
    """And what goes on holds nothing that ends a line, no credential and no hop-by-hop field."""
    try:
        headers = read_headers(raw, POLICY)
        session_id = session_id_of(headers, POLICY)
        tenant, agent = tenant_of(headers, POLICY), agent_of(headers, POLICY)
    except (InvalidHeader, HeadersTooLarge, MalformedRequest, UnsupportedEncoding):
        return
    for name in (session_id, tenant, agent):
        assert name is None or len(name.encode()) <= 4096
    for seconds in timeouts_of(headers.client_timeouts):
        assert seconds is None or seconds >= 0
    assert 1 <= len(request_id_of(headers.request_ids)) <= 128
    for lines in headers.lines.values():
        for line in lines:
            assert line.endswith(b"\r\n")
            assert line.count(b"\r") == line.count(b"\n") == 1
            field = line.partition(b":")[0].lower()
            assert field not in (
                b"connection",
                b"transfer-encoding",
                b"upgrade",
                b"cookie",
                b"host",
            )
            assert field != b"x-org"


TRACES = [
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    b"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-x",
    b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
    b"a@b=c , ,d=" + b"v" * 250,
]


@holds_for(
    st.lists(damaged(TRACES, [b"-", b"0", b"F", b",", b"=", b" ", b"\t", b"\x80", b"\r\n", b"00"]), max_size=2),
    st.lists(damaged(TRACES, [b",", b"=", b"@", b"a=b,", b"\r\n", b"\x7f", b" "]), max_size=3),
)  # fmt: skip
def test_any_trace_is_carried_on_or_begun_anew(traceparents, tracestates):
    """What is sent reads back as the same trace, and is lines of ASCII."""
    trace = trace_context_of(traceparents, tracestates)
    sent = trace_lines(trace, 1).decode("ascii").removesuffix("\r\n").split("\r\n")
    fields = dict(line.split(": ", 1) for line in sent)
    again = trace_context_of(
        [fields["traceparent"].encode()], [fields.get("tracestate", "").encode()]
    )
    assert (trace.trace_id, trace.tracestate, True) == (
        again.trace_id,
        again.tracestate,
        again.received,
    )
    assert len(sent) <= 2


TARGETS = [
    b"/v1/files/a",
    b"/v1/files",
    b"/v1/files/a/../b",
    b"/v1/files/%2e%2e/x",
    b"/v1/files/a;b/c",
    b"/v1/files\\x",
]
PATHS = Paths({}, (("/v1/files", "openai"),))


@holds_for(damaged(TARGETS, [b".", b"..", b"/", b"\\", b"%", b"%2e", b"%2f", b"%5c", b"%25", b";", b"//", b"\x00", b"%00"]))  # fmt: skip
def test_no_path_that_is_passed_on_climbs_out_of_its_prefix(target):
    """However often a server decodes it, takes a backslash for a slash, or cuts parameters off."""
    path = target.decode("latin-1")
    try:
        check_target(path, "")
    except MalformedRequest:
        return
    if PATHS.provider_of(path) is None:
        return
    for times in range(3):
        plain = path
        for _ in range(times):
            plain = unquote(plain)
        for read in (plain, plain.replace("\\", "/")):
            segments = [segment.partition(";")[0] for segment in read.split("/")]
            resolved = posixpath.normpath("/".join(segments))
            assert resolved.lstrip("/").startswith("v1/files"), (path, resolved)


PINS = [
    b'{"model_name":"openai/gpt-4o","route_name":"code","requested_model":"openai/x","generation":1,"bound_at":1763900000.1}',
    b'{"model_name":"m","home":{"model_name":"h","provider":"eu"},"away_since":9.0,"failed_returns":2,"provisional":true}',
    b'{"model_name":"m/x","requested_model":"m/a","newer":[1.5,{"deep":null}],"lanes":{"m/b":{"model_name":"m/y","newest":"x"},"":{"model_name":"z"}}}',
    b'{"anchor_model":"openai/gpt-4o","history":[{"model":"y"}],"session_cost_usd":0.1}',
]


@holds_for(damaged(PINS, [b'"', b"{", b"}", b",", b"null", b"-1", b"1e400", b"\xff", b"\\ud83d", b"\\u0000", b'"lanes":{},', b"[" * 500, b"x" * 600]))  # fmt: skip
def test_any_stored_value_is_pins_or_none(raw):
    """What is read can be written again, and reads back as the same."""
    lanes = decode(raw)
    if lanes is None:
        return
    fitted, value = fit(lanes)
    assert len(value) <= MAX_BYTES
    assert not fitted.bindings or decode(value) == fitted
    for binding in lanes.bindings:
        assert "\n" not in binding.model_name
        assert binding.model_name


WORDS = [
    b'{"route": "code generation"}',
    b'```json\n{"route": "other"}\n```',
    b"I think {'route': 'it''s'} fits.",
    b'{"route":["x","code generation"]} {"a":{"route":null}}',
]
COMPLETION = b'{"choices":[{"message":{"content":"{\\"route\\": \\"code generation\\"}"}}]}'
WORD_PIECES = [
    b"{",
    b"}",
    b'"',
    b"'",
    b"```",
    b"route",
    b"\n",
    b"[",
    b"]",
    b"\\",
    b"\xff",
    b"{" * 300,
    b'{"route":' * 40,
]
KNOWN = ("code generation", "it's", "x")


@holds_for(damaged(WORDS, WORD_PIECES), damaged([COMPLETION], [*WORD_PIECES, b"null", b"[]"]))
def test_any_word_of_a_router_model_is_a_verdict(text, body):
    """A route that it names is a known one."""
    for verdict in (read_answer(text.decode("latin-1"), KNOWN), read_completion(body, KNOWN)):
        assert verdict.route_name is None or verdict.route_name in KNOWN
        assert (verdict.route_name is not None) == (verdict.outcome.name == "MATCHED")


CONFIGS = [
    b"version: v0.4.0\nmodel_providers:\n  - model: openai/gpt-4o\n    access_key: $KEY\n    default: true\n",
    b"model_providers: [{model: openai/*, access_key: ${KEY:-x}, headers: {a: b}}]\nrouting: {session_cache: {type: redis, url: 'redis://h'}}\n",
    b"a: &x {model: openai/a}\nmodel_providers: [*x, {<<: *x, name: b}]\nlisteners:\n- {type: model, port: 0}\n",
    b"limits: {in_flight: 1_0, body_bytes: 0x10}\ntimeouts: {connect_s: .inf}\ndrain: {grace_s: 1:30}\n",
    b"model_aliases: {fast: {target: openai/a}}\nmodel_providers: |\n  text\n",
]
CONFIG_PIECES = [
    b"\n",
    b"  ",
    b"\t",
    b":",
    b"- ",
    b"*x",
    b"&x ",
    b"<<: ",
    b"[",
    b"]",
    b"{",
    b"}",
    b"'",
    b'"',
    b"#",
    b"!!python/object:os.system ",
    b"!!int ",
    b"? ",
    b"| ",
    b"> ",
    b"---\n",
    b"...\n",
    b"%YAML 1.1\n",
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"$",
    b"${",
    b"${file:/no}",
    b"null",
    b"[" * 400,
    b"{a: " * 200,
]


@holds_for(damaged(CONFIGS, CONFIG_PIECES), share=0.5)
def test_any_config_is_loaded_or_refused(text):
    """With problems in one line each, and no value of a variable in them."""
    problems = ["a problem"]
    try:
        load(text, KEY="sk-Zq7!Zq7")
    except ConfigError as error:
        problems = error.problems
    assert problems
    assert not [line for line in problems if "\n" in line or "Zq7" in line]


class Refused(Exception):
    """What the composer is told to raise."""


@holds_for(damaged(CONFIGS, CONFIG_PIECES))
def test_a_text_that_is_composed_has_the_form_that_yaml_gives_it(raw):
    """The same nodes as PyYAML's own composer, or a refusal."""
    text = raw.decode("latin-1")
    try:
        ours = BoundedComposer(text, 50, lambda _line, _why: Refused(), lambda _line: Refused())
        node = ours.get_single_node()
    except (Refused, yaml.YAMLError):
        return
    try:
        theirs = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.composer.ComposerError:
        return  # an anchor that stands again, which YAML 1.2 allows
    assert form_of(node) == form_of(theirs)


def form_of(node: yaml.Node | None) -> str:
    """The structure and the scalars of a tree, without tags."""
    if node is None:
        return "-"
    if isinstance(node, yaml.ScalarNode):
        return json.dumps(node.value)
    if isinstance(node, yaml.SequenceNode):
        return f"[{','.join(map(form_of, node.value))}]"
    return "{" + ",".join(f"{form_of(key)}:{form_of(value)}" for key, value in node.value) + "}"
