"""What the config leaves out, OpenTelemetry's own variables say."""

from __future__ import annotations

import pytest

from sidecar.config.tracing import TracingSettings
from sidecar.domain.ids import Sampling
from tests.config.loading import ONE_PROVIDER, load

BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
SAMPLER, ARGUMENT = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
OTEL = "{otlp_endpoint: http://otel:4318}"


def settings(tracing: str = "{}", **environ: str) -> TracingSettings | None:
    return load(f"{ONE_PROVIDER}tracing: {tracing}\n", **environ).tracing


def warned(tracing: str = "{}", **environ: str) -> list[str]:
    return load(f"{ONE_PROVIDER}tracing: {tracing}\n", **environ).warnings


@pytest.mark.parametrize(
    ("tracing", "environ"),
    [
        ("{}", {}),
        ("{}", {SAMPLER: "always_on"}),
        ("{}", {BASE: ""}),
        ("{random_sampling: 0}", {BASE: "http://otel:4318"}),
        ("{random_sampling: 5}", {"OTEL_SDK_DISABLED": "TRUE"}),
        (OTEL, {"OTEL_SDK_DISABLED": " true"}),
        (OTEL, {"OTEL_TRACES_EXPORTER": "none"}),
    ],
)
def test_calls_are_not_traced_unless_asked_for(tracing, environ):
    """By neither the file nor the environment, or where either says no."""
    assert settings(tracing, **environ) is None


@pytest.mark.parametrize(
    ("tracing", "environ", "url", "is_asked_for"),
    [
        (OTEL, {}, "http://otel:4318/v1/traces", True),
        ("{random_sampling: 5}", {}, "http://localhost:4318/v1/traces", True),
        ("{random_sampling: 5}", {BASE: "http://a:1/"}, "http://a:1/v1/traces", True),
        (OTEL, {BASE: "http://a:1"}, "http://otel:4318/v1/traces", True),
        ("{}", {BASE: "https://a/x"}, "https://a/x/v1/traces", False),
        ("{}", {TRACES: "https://a/x"}, "https://a/x", False),
        ("{}", {TRACES: "http://b:1/t", BASE: "http://a:1"}, "http://b:1/t", False),
        ("{}", {TRACES: "b:1", BASE: "http://a:1"}, "http://a:1/v1/traces", False),
        ("{otlp_endpoint: 'http://o:1/v1/traces/'}", {}, "http://o:1/v1/traces", True),
        ("{otlp_endpoint: 'http://o:1/k?team=a'}", {}, "http://o:1/k/v1/traces?team=a", True),
        (OTEL, {"OTEL_SDK_DISABLED": "false"}, "http://otel:4318/v1/traces", True),
        (OTEL, {"OTEL_CONFIG_FILE": "/x.yaml"}, "http://otel:4318/v1/traces", True),
    ],
)
def test_spans_go_where_the_file_says_or_else_the_environment(tracing, environ, url, is_asked_for):
    """A base URL gets the path of traces; the variable for traces is complete."""
    found = settings(tracing, **environ)
    assert found is not None

    assert (url, is_asked_for) == (found.endpoint.reveal(), found.is_asked_for)


@pytest.mark.parametrize(
    ("tracing", "environ", "follows_app", "share"),
    [
        (OTEL, {}, True, 0.0),
        ("{random_sampling: 5}", {}, True, 0.05),
        ("{random_sampling: 100}", {SAMPLER: "always_off"}, True, 1.0),
        (OTEL, {SAMPLER: "always_on"}, False, 1.0),
        (OTEL, {SAMPLER: "always_off"}, False, 0.0),
        (OTEL, {SAMPLER: "traceidratio", ARGUMENT: "0.25"}, False, 0.25),
        (OTEL, {SAMPLER: "traceidratio"}, False, 1.0),
        (OTEL, {SAMPLER: "parentbased_always_on"}, True, 1.0),
        (OTEL, {SAMPLER: "parentbased_always_off"}, True, 0.0),
        (OTEL, {SAMPLER: "parentbased_traceidratio", ARGUMENT: " 0.5 "}, True, 0.5),
        (OTEL, {SAMPLER: "jaeger_remote"}, True, 0.0),
        (OTEL, {SAMPLER: "traceidratio", ARGUMENT: "1.5"}, False, 1.0),
        (OTEL, {SAMPLER: "traceidratio", ARGUMENT: "lots"}, False, 1.0),
        (OTEL, {SAMPLER: "traceidratio", ARGUMENT: "nan"}, False, 1.0),
        (OTEL, {ARGUMENT: "0.5"}, True, 0.0),
    ],
)
def test_traces_are_sampled_as_the_file_says_or_else_the_environment(
    tracing, environ, follows_app, share
):
    """The file's share is one of new traces; the environment may name any standard sampler."""
    found = settings(tracing, **environ)
    assert found is not None

    assert Sampling(follows_app=follows_app, share=share) == found.sampling


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, (2048, 128, 1000)),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "64"}, (64, 64, 1000)),
        ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "512"}, (2048, 512, 1000)),
        ({"OTEL_BSP_SCHEDULE_DELAY": "5000"}, (2048, 128, 5000)),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "0", "OTEL_BSP_SCHEDULE_DELAY": "-1"}, (2048, 128, 1000)),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "9" * 5000}, (2048, 128, 1000)),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "\u0663"}, (2048, 128, 1000)),
    ],
)
def test_the_queue_is_as_the_environment_says(environ, expected):
    """Where that is a number; a batch is never longer than the queue."""
    found = settings(OTEL, **environ)
    assert found is not None

    assert expected == (found.queued_spans, found.batch_spans, found.delay_ms)


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        (BASE, "otel:4317", "must be a URL of http:// or https://, without blanks"),
        (SAMPLER, "xray", "must be one of always_on, always_off, traceidratio, parentbased_alw"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "grpc is not served: spans go over HTTP"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon", "must be a number above 0; 1000 is used"),
    ],
)
def test_a_variable_that_cannot_be_used_is_warned_of(variable, value, why):
    """By its name, never by its value; the config is used all the same."""
    tracing = "{}" if variable == BASE else OTEL
    (warning,) = warned(tracing, **{variable: value})

    assert warning.startswith(f"environment: {variable} {why}")
    assert value not in warning.replace("grpc is", "")


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", "a whole number"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "-3", "a whole number"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9" * 5000, "a whole number"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "a number above 0"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", "a number above 0"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "-1", "a number above 0"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "nan", "a number above 0"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "inf", "a number above 0"),
    ],
)
def test_a_variable_that_the_exporters_library_would_fail_at_is_kept_from_it(
    variable, value, wanted
):
    """And warned of: calls are traced all the same."""
    found = settings(OTEL, **{variable: value})
    assert found is not None

    assert (variable,) == found.unusable
    assert [f"environment: {variable} must be {wanted}; it is not heeded"] == warned(
        OTEL, **{variable: value}
    )


@pytest.mark.parametrize("value", ["", " ", "128", "0"])
def test_a_limit_that_can_be_read_is_the_librarys(value):
    """An empty one means none."""
    found = settings(OTEL, OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=value, OTEL_EXPORTER_OTLP_TIMEOUT="0.5")
    assert found is not None

    assert () == found.unusable


def test_a_samplers_argument_that_cannot_be_used_is_warned_of():
    """It counts as 1, as without one."""
    (warning,) = warned(OTEL, **{SAMPLER: "traceidratio", ARGUMENT: "2"})

    assert (
        "environment: OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1; every trace" in warning
    )


@pytest.mark.parametrize(
    ("endpoint", "place"),
    [
        ("http://otel:4318", "otel:4318"),
        ("https://u:secret@otel", "otel:443"),
        ("http://otel", "otel:80"),
        ("http://[::1]:4318", "[::1]:4318"),
    ],
)
def test_the_place_is_host_and_port(endpoint, place):
    """For logs, without a password."""
    found = settings(f"{{otlp_endpoint: '{endpoint}'}}")
    assert found is not None

    assert place == found.place
    assert "secret" not in repr(found)


def test_without_a_file_the_environment_alone_decides():
    """As for everything else."""
    from sidecar.config.load import load_config

    environ = {"OPENAI_API_KEY": "sk-1", BASE: "http://otel:4318"}
    found = load_config(None, environ).tracing

    assert found is not None
    assert not found.is_asked_for
    assert load_config(None, {"OPENAI_API_KEY": "sk-1"}).tracing is None
