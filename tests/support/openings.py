"""Errors with which providers begin a stream of status 200, as they write them, and beginnings that
are none. Each by its provider's name.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sidecar.domain.call import CHAT, MESSAGES, RESPONSES, DialectName
from sidecar.domain.vocabulary import FailureClass

BUSY, FAILING, QUOTA = FailureClass.BUSY, FailureClass.FAILING, FailureClass.QUOTA
TOO_LONG, SIGNED_STATE = FailureClass.TOO_LONG, FailureClass.SIGNED_STATE


class FirstEvent(NamedTuple):
    """A stream whose first event but for a preamble is an error."""

    dialect: DialectName
    stream: bytes
    expected: FailureClass


MESSAGE_START: Final = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"model":"claude","content":[],"stop_reason":null,"usage":{"input_tokens":25,"output_tokens":1}}}\n\n'
)
PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'
CREATED: Final = (
    b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1",'
    b'"object":"response","status":"in_progress","error":null,"model":"gpt-5","output":[]}}\n\n'
    b'event: response.in_progress\ndata: {"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_1",'
    b'"object":"response","status":"in_progress","error":null,"model":"gpt-5","output":[]}}\n\n'
)
ROLE: Final = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
)
TEXT: Final = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":"hello"},"finish_reason":null}]}\n\n'
)
STOP: Final = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
)
DONE: Final = b"data: [DONE]\n\n"

FIRST_EVENT_ERRORS: Final = {
    "anthropic overloaded": FirstEvent(
        MESSAGES,
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
        BUSY,
    ),
    "anthropic after message_start and ping": FirstEvent(
        MESSAGES,
        MESSAGE_START
        + PING
        + b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"Internal server error"}}\n\n',
        FAILING,
    ),
    "anthropic without an event name, through a gateway": FirstEvent(
        MESSAGES,
        b'data: {"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}\n\n',
        BUSY,
    ),
    "anthropic credit": FirstEvent(
        MESSAGES,
        b'event: error\ndata: {"type":"error","error":{"type":"invalid_request_error",'
        b'"message":"Your credit balance is too low to access the Anthropic API."}}\n\n',
        QUOTA,
    ),
    "bedrock through a gateway": FirstEvent(
        MESSAGES,
        b'event: error\ndata: {"error":{"type":"api_error","message":"Bedrock is unable to process your request."}}\n\n',
        FAILING,
    ),
    "openai responses, error behind response.created": FirstEvent(
        RESPONSES,
        CREATED
        + b'event: error\ndata: {"type":"error","sequence_number":2,"error":{"type":"tokens","code":"rate_limit_exceeded",'
        b'"message":"Rate limit reached for gpt-5","param":null}}\n\n',
        BUSY,
    ),
    "openai responses, documented flat error": FirstEvent(
        RESPONSES,
        b'event: error\ndata: {"type":"error","code":"server_error","message":"The server had an error.",'
        b'"param":null,"sequence_number":1}\n\n',
        FAILING,
    ),
    "openai responses, response.failed": FirstEvent(
        RESPONSES,
        CREATED
        + b'event: response.failed\ndata: {"type":"response.failed","sequence_number":2,"response":{"id":"resp_1",'
        b'"object":"response","status":"failed","error":{"code":"server_error","message":"An error occurred."},'
        b'"model":"gpt-5","output":[]}}\n\n',
        FAILING,
    ),
    "azure responses, response.failed by rate limit": FirstEvent(
        RESPONSES,
        b'data: {"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded",'
        b'"message":"Requests to the Operation have exceeded token rate limit"}}}\n\n',
        BUSY,
    ),
    "openai chat": FirstEvent(
        CHAT,
        b'data: {"error":{"message":"The server had an error while processing your request. Sorry about that!",'
        b'"type":"server_error","param":null,"code":null}}\n\n',
        FAILING,
    ),
    "azure chat, behind its filter results": FirstEvent(
        CHAT,
        b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}\n\n'
        b'data: {"error":{"message":"Too many requests","type":null,"param":null,"code":"429"}}\n\n',
        BUSY,
    ),
    "openrouter": FirstEvent(
        CHAT,
        b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n"
        b'data: {"id":"gen-1","object":"chat.completion.chunk","created":1,"model":"x/y","provider":"z",'
        b'"error":{"code":502,"message":"Provider returned error"},'
        b'"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}\n\n',
        FAILING,
    ),
    "openrouter rate limit": FirstEvent(
        CHAT,
        b'data: {"error":{"code":429,"message":"Provider returned error","metadata":{"provider_name":"x"}}}\n\n',
        BUSY,
    ),
    "vllm": FirstEvent(
        CHAT,
        b'data: {"error": {"message": "EngineCore encountered an issue. See stack trace (above) for the root cause.", '
        b'"type": "InternalServerError", "param": null, "code": 500}}\n\ndata: [DONE]\n\n',
        FAILING,
    ),
    "vllm before 0.10": FirstEvent(
        CHAT,
        ROLE
        + b'data: {"object": "error", "message": "out of memory", "type": "BadRequestError", "param": null, "code": 400}\n\n',
        FAILING,
    ),
    "groq": FirstEvent(
        CHAT,
        b'event: error\ndata: {"error":{"message":"Failed to call a function. Please adjust your prompt.",'
        b'"type":"invalid_request_error","code":"tool_use_failed","failed_generation":"x","status_code":400}}\n\n',
        FAILING,
    ),
    "mistral": FirstEvent(
        CHAT,
        b'data: {"object":"error","message":"Service unavailable","type":"internal_server_error","param":null,"code":"3000"}\n\n',
        FAILING,
    ),
    "cerebras": FirstEvent(
        CHAT,
        b'data: {"message":"Requests per minute limit exceeded","type":"too_many_requests_error","param":"quota",'
        b'"code":"request_quota_exceeded"}\n\n',
        BUSY,
    ),
    "dashscope": FirstEvent(
        CHAT,
        b'id:1\nevent:error\n:HTTP_STATUS/429\ndata:{"code":"Throttling.AllocationQuota","message":"Allocated quota exceeded"}\n\n',
        BUSY,
    ),
    "deepseek": FirstEvent(
        CHAT,
        b": keep-alive\n\n: keep-alive\n\n"
        b'data: {"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}\n\n',
        QUOTA,
    ),
    "gemini": FirstEvent(
        CHAT,
        b'data: {"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}\n\n',
        BUSY,
    ),
    "gemini quota of requests": FirstEvent(
        CHAT,
        b'data: {"error":{"code":429,"message":"Resource has been exhausted","status":"RESOURCE_EXHAUSTED"}}\r\n\r\n',
        BUSY,
    ),
    "ollama": FirstEvent(
        CHAT, b'data: {"error":"model runner has unexpectedly stopped"}\n\n', FAILING
    ),
    "tgi": FirstEvent(
        CHAT, b'data:{"error":"Model is overloaded","error_type":"overloaded"}\n\n', BUSY
    ),
    "litellm": FirstEvent(
        CHAT,
        b'data: {"error": {"message": "litellm.APIConnectionError: boom", "type": null, "param": null, "code": "500"}}\n\n',
        FAILING,
    ),
    "together": FirstEvent(
        CHAT,
        b'data: {"error":{"message":"Request failed with status 503","type":"service_unavailable","param":null,"code":null}}\n\n',
        BUSY,
    ),
    "anthropic signature": FirstEvent(
        MESSAGES,
        b'event: error\ndata: {"type":"error","error":{"type":"invalid_request_error",'
        b'"message":"messages.5.content.0: Invalid `signature` in `thinking` block"}}\n\n',
        SIGNED_STATE,
    ),
    "sglang too long": FirstEvent(
        CHAT,
        b'data: {"error": {"object": "error", "message": "The input (9000 tokens) is longer than the model\'s context '
        b'length (8192 tokens).", "type": "BadRequestError", "param": null, "code": 400}}\n\n',
        TOO_LONG,
    ),
    "llama.cpp too long": FirstEvent(
        CHAT,
        b'data: {"error":{"code":400,"message":"request (2358 tokens) exceeds the available context size (2048 tokens), '
        b'try increasing it","type":"exceed_context_size_error","n_prompt_tokens":2358,"n_ctx":2048}}\n\n',
        TOO_LONG,
    ),
    "a bare object in the place of the stream": FirstEvent(
        CHAT, b'{"error":{"message":"no capacity","type":"server_error","code":503}}', BUSY
    ),
    "an error without the empty line behind it": FirstEvent(
        CHAT, b'data: {"error":{"message":"gone","code":500}}', FAILING
    ),
    "an error that is no JSON": FirstEvent(
        CHAT, b"event: error\ndata: upstream failed\n\n", FAILING
    ),
}

BEGUN: Final = {
    "chat, text": (CHAT, ROLE + TEXT),
    "chat, a tool": (
        CHAT,
        ROLE
        + b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t"}]},"finish_reason":null}]}\n\n',
    ),
    "chat, reasoning": (
        CHAT,
        b'data: {"choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"hm"}}]}\n\n',
    ),
    "chat, an end at once": (CHAT, ROLE + STOP),
    "chat, the marker at once": (CHAT, DONE),
    "chat, error null": (
        CHAT,
        b'data: {"error":null,"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
    ),
    "chat, an event that cannot be read": (CHAT, b"data: {\n\n"),
    "chat, a choice of another form": (CHAT, b'data: {"choices":[3]}\n\n'),
    "chat, a delta of another form": (CHAT, b'data: {"choices":[{"delta":"a"}]}\n\n'),
    "chat, another object": (CHAT, b'data: {"foo":1}\n\n'),
    "chat, text behind a byte order mark": (CHAT, b"\xef\xbb\xbf" + TEXT),
    "chat, lines that end in CR": (CHAT, (ROLE + TEXT).replace(b"\n", b"\r")),
    "chat, lines that end in CRLF": (CHAT, (ROLE + TEXT).replace(b"\n", b"\r\n")),
    "chat, an answer that is no stream": (
        CHAT,
        b'{"choices":[{"message":{"content":"hi"}}],"error":null}',
    ),
    "messages, a block": (
        MESSAGES,
        MESSAGE_START
        + PING
        + b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n',
    ),
    "messages, an end at once": (
        MESSAGES,
        MESSAGE_START + b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    ),
    "responses, an item": (
        RESPONSES,
        CREATED
        + b'event: response.output_item.added\ndata: {"type":"response.output_item.added","output_index":0,"item":{}}\n\n',
    ),
    "responses, incomplete": (
        RESPONSES,
        CREATED
        + b'event: response.incomplete\ndata: {"type":"response.incomplete","response":{}}\n\n',
    ),
}
"""Name -> dialect and stream: the provider serves, though some of it looks odd."""
