"""What a failure means, row by row, with the bodies that providers really send."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.errors import (
    AppTimeout,
    ConnectFailed,
    ConnectTimeout,
    FirstByteTimeout,
    ResponseTimeout,
    StreamIdleTimeout,
    UpstreamCut,
    UpstreamMalformed,
    UpstreamReset,
)
from sidecar.domain.vocabulary import FailureClass
from sidecar.upstream.failure import (
    CALLERS_PATIENCE,
    Failure,
    Penalty,
    PinEffect,
    classify_body_error,
    classify_error,
    classify_reply,
    for_swapped,
    is_curable,
    retry_after_s,
    with_another_key,
)

NOW_UNIX_S = 1_700_000_000.0
"""Tue, 14 Nov 2023 22:13:20 GMT."""

ROWS = {
    "callers": Failure(FailureClass.CALLERS_FAULT, False, Penalty.NONE, PinEffect.UNTOUCHED),
    "length": Failure(FailureClass.TOO_LONG, True, Penalty.NONE, PinEffect.MOVES),
    "key": Failure(
        FailureClass.OUR_CREDENTIAL, True, Penalty.EJECT, PinEffect.AWAY, needs_alert=True
    ),
    "callers key": Failure(
        FailureClass.CALLERS_CREDENTIAL, False, Penalty.NONE, PinEffect.UNTOUCHED
    ),
    "quota": Failure(FailureClass.QUOTA, True, Penalty.EJECT, PinEffect.AWAY, needs_alert=True),
    "gone": Failure(
        FailureClass.MODEL_GONE, True, Penalty.EJECT, PinEffect.MOVES, needs_alert=True
    ),
    "gone for the caller": Failure(FailureClass.MODEL_GONE, True, Penalty.NONE, PinEffect.MOVES),
    "busy": Failure(FailureClass.BUSY, True, Penalty.COOL, PinEffect.AWAY),
    "failing": Failure(FailureClass.FAILING, True, Penalty.COOL_ON_EVIDENCE, PinEffect.AWAY),
    "failing, by a timeout": Failure(
        FailureClass.FAILING, True, Penalty.COOL_ON_EVIDENCE, PinEffect.MOVES
    ),
    "failing, too late": Failure(
        FailureClass.FAILING, False, Penalty.COOL_ON_EVIDENCE, PinEffect.AWAY
    ),
    "refused": Failure(FailureClass.REFUSED, True, Penalty.NONE, PinEffect.UNTOUCHED),
    "signed": Failure(FailureClass.SIGNED_STATE, True, Penalty.NONE, PinEffect.FOLLOWS),
    "swapped": Failure(FailureClass.SWAPPED, True, Penalty.NONE, PinEffect.MOVES),
    "patience": CALLERS_PATIENCE,
    "policy": Failure(FailureClass.CONTENT_POLICY, False, Penalty.NONE, PinEffect.UNTOUCHED),
}


def openai(
    message: str,
    kind: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
) -> bytes:
    """OpenAI's error body, in lines as it sends it."""
    return json.dumps(
        {"error": {"message": message, "type": kind, "param": param, "code": code}}, indent=2
    ).encode()


def anthropic(kind: str, message: str) -> bytes:
    """Anthropic's error body."""
    return json.dumps(
        {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    ).encode()


def classify(
    status: int, body: bytes = b"", *headers: tuple[bytes, bytes], passthrough_auth: bool = False
) -> Failure:
    return classify_reply(status, body, headers, NOW_UNIX_S, passthrough_auth=passthrough_auth)


OPENAI_LENGTH = openai(
    "This model's maximum context length is 128000 tokens. However, your messages resulted in 200010 tokens. "
    "Please reduce the length of the messages.",
    code="context_length_exceeded",
    param="messages",
)
OPENAI_QUOTA = openai(
    "You exceeded your current quota, please check your plan and billing details.",
    "insufficient_quota",
    "insufficient_quota",
)
OPENAI_RATE = openai(
    "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000, "
    "Requested 2000. Please try again in 2s.",
    "tokens",
    "rate_limit_exceeded",
)
OPENAI_MODEL = openai(
    "The model `gpt-9` does not exist or you do not have access to it.",
    code="model_not_found",
    param=None,
)
ANTHROPIC_CREDIT = anthropic(
    "invalid_request_error",
    "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase "
    "credits.",
)


@pytest.mark.parametrize(
    ("row", "status", "body"),
    [
        # The caller's fault.
        ("callers", 400, openai("Missing required parameter: 'messages'.", code="missing_required_parameter", param="messages")),
        ("callers", 400, anthropic("invalid_request_error", "max_tokens: Field required")),
        ("callers", 413, anthropic("request_too_large", "Request exceeds the maximum size")),
        ("callers", 422, b'{"detail":[{"loc":["body","messages"],"msg":"field required","type":"value_error.missing"}]}'),
        ("callers", 404, openai("No such File object: file-x", code="not_found")),
        ("callers", 404, b"<html>404</html>"),
        ("callers", 405, b""),
        ("callers", 409, openai("conflict")),
        ("callers", 400, openai("Invalid value: 'Your credit balance is too low'.", code="invalid_value")),
        ("callers", 400, openai("The model `o1` does not support temperature.", code="unsupported_parameter")),
        # Too long for this model.
        ("length", 400, OPENAI_LENGTH),
        ("length", 400, anthropic("invalid_request_error", "prompt is too long: 215000 tokens > 200000 maximum")),
        ("length", 400, anthropic("invalid_request_error", "input length and `max_tokens` exceed context limit: 190000 + 21333 > 200000, decrease input length or `max_tokens` and try again")),
        ("length", 400, b'{"object":"error","message":"This model\'s maximum context length is 8192 tokens. However, you requested 9000.","type":"BadRequestError","param":null,"code":400}'),
        ("length", 400, b'{"object":"error","message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length","type":"invalid_request_error","code":"3051"}'),
        ("length", 400, b'[{"error":{"code":400,"message":"The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]'),
        ("length", 400, b'{"code":"Client specified an invalid argument","error":"This model\'s maximum prompt length is 131072 but the request contains 140000 tokens."}'),
        ("length", 413, openai("Request too large for model `llama-3.1-8b-instant` on tokens per minute (TPM): Limit 6000, Requested 7000", "tokens", "rate_limit_exceeded")),
        # Our credential.
        ("key", 401, openai("Incorrect API key provided: sk-x.", code="invalid_api_key")),
        ("key", 401, anthropic("authentication_error", "invalid x-api-key")),
        ("key", 403, anthropic("permission_error", "Your API key does not have permission to use the specified resource.")),
        ("key", 403, openai("Country, region, or territory not supported", "request_forbidden", "unsupported_country_region_territory")),
        ("key", 401, b""),
        # Account or quota.
        ("quota", 402, b""),
        ("quota", 402, anthropic("billing_error", "There is an issue with your billing.")),
        ("quota", 402, openai("Insufficient Balance", "unknown_error", "invalid_request_error")),
        ("quota", 429, OPENAI_QUOTA),
        ("quota", 429, openai("Your account is not active, please check your billing details on our website.", "billing_not_active", "billing_not_active")),
        ("quota", 400, ANTHROPIC_CREDIT),
        ("quota", 400, anthropic("invalid_request_error", "You have reached your specified API usage limits. You will regain access on 2026-02-01.")),
        # The model is gone.
        ("gone", 404, OPENAI_MODEL),
        ("gone", 403, openai("Project `proj_x` does not have access to model `gpt-4o`", code="model_not_found")),
        ("gone", 404, anthropic("not_found_error", "model: claude-2.0")),
        ("gone", 400, openai("The model `llama2-70b` has been decommissioned and is no longer supported.", code="model_decommissioned")),
        ("gone", 404, b'{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}'),
        ("gone", 404, b'{"error":"model \'x\' not found, try pulling it first"}'),
        ("gone", 404, b'{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}'),
        ("gone", 404, b'{"error":{"message":"No endpoints found for x/y.","code":404}}'),
        ("gone", 404, b'[{"error":{"code":404,"message":"models/gemini-x is not found for API version v1main","status":"NOT_FOUND"}}]'),
        ("gone", 400, b'{"object":"error","message":"Invalid model: x","type":"invalid_model","param":null,"code":"1500"}'),
        # Refused, by whom the provider does not say.
        ("refused", 403, b""),
        ("refused", 403, b"<html><title>403 Forbidden</title>Blocked by policy</html>"),
        # Signed state.
        ("signed", 400, openai("The encrypted content could not be verified.", code="invalid_encrypted_content")),
        # Busy, failing.
        ("failing", 408, b""),
        ("busy", 429, OPENAI_RATE),
        ("busy", 429, anthropic("rate_limit_error", "This request would exceed your organization's rate limit.")),
        ("failing", 500, openai("The server had an error while processing your request.", "server_error")),
        ("failing", 502, b"<html>Bad Gateway</html>"),
        ("busy", 503, openai("The engine is currently overloaded, please try again later", "service_unavailable")),
        ("failing", 504, b""),
        ("failing", 520, b"error code: 520"),
        ("busy", 529, anthropic("overloaded_error", "Overloaded")),
        ("failing", 500, OPENAI_LENGTH),
        # Content policy.
        ("policy", 400, openai("Your request was rejected as a result of our safety system.", code="content_policy_violation")),
        ("policy", 400, anthropic("invalid_request_error", "Output blocked by content filtering policy")),
        ("policy", 400, openai("Invalid prompt: your prompt was flagged as potentially violating our usage policy.", code="invalid_prompt")),
        ("policy", 400, b'{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}'),
        ("policy", 400, b'{"error":{"message":"Blocked","innererror":{"code":"ResponsibleAIPolicyViolation"}}}'),
        ("policy", 403, b'{"error":{"code":403,"message":"This model requires moderation and your input was flagged","metadata":{"reasons":["violence"],"flagged_input":"..."}}}'),
        ("policy", 403, b'{"code":"The caller does not have permission","error":"Content violates usage guidelines."}'),
    ],
)  # fmt: skip
def test_an_answer_means_its_row(row, status, body):
    """Each class of failure, in the words of the providers."""
    assert ROWS[row] == classify(status, body)


@pytest.mark.parametrize(
    ("row", "status", "body"),
    [
        ("callers key", 401, openai("Incorrect API key provided: sk-x.", code="invalid_api_key")),
        ("callers key", 403, b""),
        ("callers key", 403, anthropic("permission_error", "not yours")),
        ("callers key", 429, OPENAI_RATE),
        ("callers key", 429, OPENAI_QUOTA),
        ("callers key", 402, b""),
        ("callers key", 400, ANTHROPIC_CREDIT),
        ("callers key", 400, b'[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]'),
        ("signed", 400, anthropic("invalid_request_error", "messages.5.content.0: Invalid `signature` in `thinking` block")),
        ("policy", 403, b'{"error":{"code":403,"message":"flagged","metadata":{"flagged_input":"..."}}}'),
        ("gone for the caller", 404, OPENAI_MODEL),
        ("callers", 400, openai("Missing required parameter: 'messages'.")),
        ("length", 400, OPENAI_LENGTH),
        ("failing", 408, b""),
        ("busy", 503, b""),
    ],
)  # fmt: skip
def test_a_callers_own_account_means_nothing_to_others(row, status, body):
    """With passthrough_auth one user's key, limits, bill and models neither eject nor cool a
    candidate.
    """
    assert ROWS[row] == classify(status, body, passthrough_auth=True)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xff", b"\x1f\x8b\x08", b"null", b"3", b'"x"', b"[]", b"[3]", b"{}", b'{"error":null}', b'{"error":[]}', b'{"error":{"code":{},"type":3,"message":[]}}',
        b'{"error":{"metadata":3,"innererror":3}}', b'{"error":{"metadata":{}}}', b'{"a":' * 50_000, OPENAI_RATE[:-20],
    ],
)  # fmt: skip
def test_an_unreadable_body_is_judged_by_its_status(body):
    """Compressed, cut short, hostile, or of a shape nobody uses."""
    rows = [ROWS[row] for row in ("callers", "key", "quota", "busy")]
    assert rows == [classify(status, body) for status in (400, 401, 402, 429)]


def test_the_wait_that_a_provider_asks_for_is_kept():
    """Whatever the class."""
    assert (17.0, FailureClass.BUSY) == (
        (failure := classify(429, b"", (b"Retry-After", b"17"))).retry_after_s,
        failure.failure_class,
    )
    assert 17.0 == classify(402, b"", (b"Retry-After", b"17")).retry_after_s


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], None),
        ([(b"retry-after", b"20")], 20.0),
        ([(b"date", b"20"), (b"content-type", b"3"), (b"x-retry-afte", b"5")], None),
        ([(b"Retry-After", b" 0.5 ")], 0.5),
        ([(b"retry-after", b"301")], 300.0),
        ([(b"retry-after", b"999999999999")], 300.0),
        ([(b"retry-after", b"9" * 400)], None),
        ([(b"retry-after", b"0")], None),
        ([(b"retry-after", b"-5")], None),
        ([(b"retry-after", b"nan")], None),
        ([(b"retry-after", b"1e3")], None),
        ([(b"retry-after", b"")], None),
        ([(b"retry-after", b"soon")], None),
        ([(b"retry-after", b"\xff\xfe")], None),
        ([(b"retry-after", b"Tue, 14 Nov 2023 22:14:20 GMT")], 60.0),
        ([(b"retry-after", b"Tue, 14 Nov 2023 22:14:20 -0000")], 60.0),
        ([(b"retry-after", b"Tue, 14 Nov 2023 23:14:20 +0100")], 60.0),
        ([(b"retry-after", b"Wed, 15 Nov 2023 22:14:20 GMT")], 300.0),
        ([(b"retry-after", b"Tue, 14 Nov 2023 22:13:00 GMT")], None),
        ([(b"retry-after", b"Tue, 14 Nov 99999 22:13:00 GMT")], None),
        ([(b"retry-after-ms", b"1500"), (b"retry-after", b"20")], 1.5),
        ([(b"retry-after-ms", b"soon"), (b"retry-after", b"20")], 20.0),
        ([(b"retry-after", b"20"), (b"retry-after", b"40")], 20.0),
    ],
)
def test_retry_after_is_read(headers, expected):
    """Seconds, milliseconds or a date, at most five minutes; what lies in the past asks for
    nothing.
    """
    assert expected == retry_after_s(headers, NOW_UNIX_S)


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ("busy", ConnectFailed("refused")),
        ("busy", ConnectTimeout("slow")),
        ("failing", UpstreamReset("gone")),
        ("failing, by a timeout", FirstByteTimeout("silent")),
        ("failing", UpstreamMalformed("nonsense")),
        ("failing, too late", ResponseTimeout("slow")),
        ("failing, too late", StreamIdleTimeout("silent")),
        ("failing, too late", UpstreamCut("cut")),
        ("patience", AppTimeout("short")),
    ],
)
def test_no_response_is_a_matter_of_the_provider(row, error):
    """Another candidate may serve it, unless work may have been done already, bytes were sent, or
    the app would not wait.
    """
    assert ROWS[row] == classify_error(error)


def test_a_shortage_of_our_own_descriptors_is_held_against_no_provider():
    """Another candidate may have a connection open; neither cooling nor a pin remembers it."""
    error = ConnectFailed("none left")
    error.is_own_shortage = True
    expected = Failure(FailureClass.BUSY, True, Penalty.NONE, PinEffect.UNTOUCHED)

    assert expected == classify_error(error)


def test_a_response_timeout_goes_on_where_the_provider_allows_it():
    """The operator accepts that it may be billed twice."""
    assert ROWS["failing, by a timeout"] == classify_error(
        ResponseTimeout("slow"), failover_on_response_timeout=True
    )


@pytest.mark.parametrize(
    ("row", "body"),
    [
        ("busy", anthropic("overloaded_error", "Overloaded")),
        ("busy", b'{"error":{"code":429,"message":"Provider returned error"}}'),
        ("busy", b'{"error":{"code":503,"message":"no instances"}}'),
        ("failing", anthropic("api_error", "Internal server error")),
        ("failing", anthropic("invalid_request_error", "odd")),
        ("failing", b""),
        ("length", OPENAI_LENGTH),
        ("signed", openai("", code="invalid_encrypted_content")),
        ("key", anthropic("authentication_error", "invalid x-api-key")),
        ("policy", openai("", code="content_filter")),
        ("busy", b'{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow"},"metadata":{"code":"insufficient_quota"}}}'),
        ("failing", b'{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"x"},"metadata":{"error_type":"invalid_api_key"}}}'),
        ("failing", b'{"status":"failed","error":{"code":"server_error","message":"x"},"metadata":{"raw":"{\\"error\\":{\\"code\\":\\"insufficient_quota\\"}}"}}'),
        ("failing", b'{"status":"failed","error":{"code":"server_error","message":"x"},"metadata":{"flagged_input":"x"}}'),
        ("failing", b'{"status":"failed","error":null,"metadata":{"error_type":"invalid_api_key"}}'),
        ("failing", b'{"status":"failed","metadata":{"error_type":"invalid_api_key","raw":"{\\"code\\":\\"model_not_found\\"}"}}'),
        ("failing", b'{"status":"failed","error":{"code":"server_error","message":"The model had an error"},"instructions":"API key not valid"}'),
        ("busy", b'{"error":{"http_code":"429","message":"slow down","type":"rate_limit"}}'),
        ("busy", b'{"error":{"code":"unavailable","message":"no instance"}}'),
        ("quota", b'{"error":{"code":402,"message":"pay"}}'),
        ("refused", b'{"error":{"code":403,"message":"no"}}'),
        ("key", b'{"error":{"code":401,"message":"no"}}'),
        ("gone", b'{"error":{"code":404,"message":"model: claude-x"}}'),
        ("failing", b'{"error":{"code":400,"message":"Provider returned error"}}'),
        ("failing", b'{"error":{"code":500,"message":"API key not valid"}}'),
        ("failing", b'data: {"error":{"message":"oops"}}'),
        ("busy", b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'),
    ],
)  # fmt: skip
def test_an_error_in_the_place_of_a_response_means_what_it_says(row, body):
    """Its status was 200; what it does not name is a failing provider."""
    assert ROWS[row] == classify_body_error(body, passthrough_auth=False)


def test_a_limit_of_the_callers_account_in_the_place_of_a_response_is_the_callers():
    """With passthrough_auth."""
    rows = [
        classify_body_error(anthropic(kind, "slow down"), passthrough_auth=True)
        for kind in ("rate_limit_error", "authentication_error", "overloaded_error", "api_error")
    ]
    assert [ROWS[row] for row in ("callers key", "callers key", "busy", "failing")] == rows


def test_only_a_request_that_is_wrong_may_suit_another_model():
    """Where the sidecar chose the model that refused it."""
    assert [ROWS["swapped"], ROWS["policy"], ROWS["busy"]] == [
        for_swapped(ROWS[row]) for row in ("callers", "policy", "busy")
    ]


def test_what_a_retry_could_cure():
    """The answer that an app should see of several."""
    assert [408, 429, 500, 529] == [
        status for status in (400, 401, 402, 404, 408, 413, 429, 500, 529) if is_curable(status)
    ]


@given(st.integers(400, 599), st.binary(), st.binary(), st.booleans())
def test_any_answer_means_something(status, body, retry_after, passthrough_auth):
    """Never an error, and with passthrough_auth no 4xx but 408 touches the candidate."""
    failure = classify(
        status,
        b'{"error":{"code":"' + body + b'"}}',
        (b"retry-after", retry_after),
        passthrough_auth=passthrough_auth,
    )

    is_untouched = failure.penalty is Penalty.NONE
    assert is_untouched or not passthrough_auth or status >= 500 or status == 408


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected"),
    [
        (400, "invalid_request_error", "Authentication error while communicating with MCP server 'x'. Please check your authorization token.", FailureClass.CALLERS_FAULT),
        (400, "external_connector_error", "Unauthorized", FailureClass.CALLERS_FAULT),
        (403, "permission_error", "Your account does not have access to this beta feature: context-1m.", FailureClass.REFUSED),
        (403, "permission_error", "You do not have access to file file_011abc", FailureClass.REFUSED),
        (403, "PERMISSION_DENIED", "You do not have permission to access tuned model tunedModels/x.", FailureClass.REFUSED),
        (403, "permission_error", "Your API key does not have permission to use the specified resource.", FailureClass.OUR_CREDENTIAL),
        (400, "invalid_request_error", "Authentication failed", FailureClass.OUR_CREDENTIAL),
    ],
)  # fmt: skip
def test_what_a_caller_may_not_use_is_no_bad_key_of_ours(status, kind, message, expected):
    """A token for a tool's server, a beta header, a file: one caller names it, all would pay."""
    body = json.dumps({"error": {"type": kind, "message": message}}).encode()

    assert expected is classify(status, body).failure_class


@pytest.mark.parametrize(
    ("message", "is_ejected"),
    [
        ("openai/gpt-4o is not a valid model ID", True),
        ("nope/x is not a valid model ID", False),  # OpenRouter: one of the caller's own `models`
        ("The model `GPT-4o` does not exist or you do not have access to it.", True),
        ("The model `foo` does not exist", False),  # a tool's
        ("Unknown model: foo", False),
        ("models/foo is not found for API version v1beta", False),
        ("Model Not Exist", True),
        ("The model was not found", True),
        ("Requested model does not exist", True),
        ("Project `p` does not have access to model `gpt-4o`", True),
    ],
)
def test_a_model_that_the_caller_named_beside_its_own_ejects_no_candidate(message, is_ejected):
    """The call goes on all the same."""
    body = json.dumps({"error": {"message": message, "code": "model_not_found"}}).encode()
    failure = classify_reply(404, body, [], 0.0, passthrough_auth=False, upstream_model="gpt-4o")

    assert (FailureClass.MODEL_GONE, True) == (failure.failure_class, failure.may_try_next)
    assert is_ejected == (failure.penalty is Penalty.EJECT)
    assert is_ejected == failure.needs_alert


def test_a_refusal_whose_key_was_replaced_means_nothing_but_another_try():
    """No penalty, no effect on the pin, no alert."""
    refused = Failure(
        FailureClass.OUR_CREDENTIAL, True, Penalty.EJECT, PinEffect.AWAY, needs_alert=True
    )

    assert with_another_key(refused) == Failure(
        FailureClass.OUR_CREDENTIAL, True, Penalty.NONE, PinEffect.UNTOUCHED, tries_again=True
    )
