"""How providers word what one call meets: a prompt that is too long, a conversation that a model
cannot read, a filter, a limit. Pure tables, in lower case.

Most is looked for anywhere in the messages: a caller who gets the words echoed moves only itself.
"""

from __future__ import annotations

from typing import Final

from sidecar.upstream.wording import Wording, codes, openings, pair, patterns, phrases

SIGNED_STATE: Final = Wording(
    codes=codes("invalid_encrypted_content"),  # OpenAI, Azure, xAI
    phrases=phrases(
        "bound to a different conversation",  # Anthropic
        "in redacted_thinking block",  # Anthropic: "Invalid `data` in ..."
        "thinking or redacted_thinking blocks in the latest assistant message",  # Anthropic
        "has an invalid signature",  # Anthropic: a tool_use block
        "invalid_encrypted_content",
        "thought_signature",  # Gemini, Vertex: a function call is missing one
        "thoughtsignature",
        "items are not persisted when store is set to false",  # OpenAI, for a reasoning item
        "without its required reasoning item",  # OpenAI
        "without its required following item",  # OpenAI
        "missing reasoning_content field",  # DeepSeek
        "reasoning_content is missing",  # Moonshot
        "in the thinking mode must be passed back",  # DeepSeek
    ),
    patterns=patterns(
        r"expected thinking(?: or |/)redacted_thinking",  # Anthropic
        r"item (?:with id )?\w{1,100} not found",  # OpenAI: an item of another account
    ),
    pairs=(
        # Anthropic: "Invalid `signature` in `thinking` block"; Gemini: "thought signature".
        pair("signature", "thinking|thought|reasoning"),
        # OpenAI: "The encrypted content gAAA could not be verified".
        pair("encrypted[ _](?:content|reasoning)", "decrypt|verified|not match|mismatch"),
    ),
)
"""A model or account cannot read what another one put into the conversation."""

_LENGTH_CODES: Final = codes(
    "context_length_exceeded",  # OpenAI, Azure, Groq, Cerebras
    "exceed_context_size_error",  # llama.cpp
    "model_context_window_exceeded",  # Anthropic
    "contextwindowexceedederror",  # LiteLLM
    "tokens_limit_reached",  # GitHub Models, 413
    "model_max_prompt_tokens_exceeded",  # GitHub Copilot
    "prompt_too_long",
)
OVER_A_LIMIT: Final = Wording(
    codes=_LENGTH_CODES,
    phrases=phrases(
        "request too large for",  # OpenAI 429, Groq 413: one request over what a minute allows
        "extra usage is required for long context requests",  # Anthropic, 429
    ),
)
"""One request alone is over a limit: what a 429 has to say to be no rate limit."""

TOO_LONG: Final = Wording(
    codes=_LENGTH_CODES,
    phrases=phrases(
        "long context beta is not yet available",  # Anthropic
        "exceed context limit",  # Anthropic
        "maximum prompt length",  # xAI
        "sent message larger than max",  # xAI
        "maximum input length",  # TensorRT-LLM, Vertex
        "longer than the maximum model length",  # vLLM
        "exceeds the maximum allowed length",  # SGLang
        "exceeds the maximum number of tokens allowed",  # Gemini
        "tokens in request more than max tokens allowed",
        "reduce the length of the messages",  # Groq, Cerebras
        "tokens + max_new_tokens must be <=",  # TGI
        "inputs must have less than",  # TGI
        "too large for model with",  # Mistral
        "range of input length should be",  # DashScope
        "prompt exceeds max length",  # Z.ai
        "prompt 超长",  # Z.ai
        "prompt token count of",  # GitHub Copilot: "... exceeds the limit of"
        "request body too large for",  # GitHub Models: "... Max size: 8000 tokens."
        "cannot exceed the total tokens limit",  # watsonx
        "prompt tokens limit exceeded",  # OpenRouter, 402
        "requires more credits, or fewer max_tokens",  # OpenRouter, 402
    ),
    patterns=patterns(
        # Anthropic, Fireworks, Bedrock, Ollama.
        "(?:prompt|input|conversation|messages) (?:is |are )?too (?:long|large)",
        # Azure, Nova, SGLang, Poolside, llama-cpp-python.
        r"(?:input|prompt|requested) (?:length|tokens?|token count)\b[^.]{0,80}exceed",
        # Cohere, Titan, Bedrock's Claude; but not Bedrock's throttling.
        "too many (?:input |prompt |total )?(?:tokens|text bytes)(?!: max tokens|, please wait)",
        # Moonshot.
        "tokens? limit exceeded|exceed(?:s|ed)? (?:the |this |your )?(?:models? )?token limit",
    ),
    pairs=(
        # OpenAI, vLLM, SGLang, llama.cpp, LM Studio, Ollama, OpenRouter, MiniMax, Cloudflare.
        pair(
            "context[ _](?:length|window|size|limit)|context the overflows",
            "exceed|longer|greater|larger|overflow|requested|maximum|only|but the ",
        ),
    ),
)
CONTENT_POLICY: Final = Wording(
    codes=codes(
        "content_policy_violation",  # OpenAI
        "content_filter content_filter_error",  # Azure; Moonshot
        "contentpolicyviolationerror",  # LiteLLM
        "responsibleaipolicyviolation",  # Azure
        "moderation_blocked",  # OpenAI
        "cyber_policy_violation",  # OpenAI
        "data_inspection_failed datainspectionfailed",  # DashScope
        "refusal",
    ),
    openings=openings(
        "output blocked by content filtering policy",  # Anthropic
        "invalid prompt: your prompt was flagged",  # OpenAI
        "your (?:input|request|prompt) (?:was|has been) flagged",  # OpenRouter, Stability
        "your request was rejected as a result of our safety system",  # OpenAI
        "the response was filtered due to the prompt triggering",  # Azure
        "content violates usage guidelines",  # xAI, 403
        "content exists risk",  # DeepSeek
        "the request was rejected because it was considered high risk",  # Moonshot
        "input data may contain inappropriate content",  # DashScope
        "system detected potentially unsafe or sensitive content",  # Z.ai
    ),
)
FILTERED: Final = Wording(
    phrases=phrases(
        # OpenRouter, 404: "... that support tool use", "... matching your data policy". A model
        # that it does not have is "No endpoints found for x/y."
        "no endpoints found that",
        "no endpoints found matching",
        "no endpoints available matching",
    )
)
"""A gateway has the model, and no server of it that this caller's request may go to."""

RATE_LIMITED: Final = Wording(
    codes=codes(
        "rate_limit_error",  # Anthropic
        "rate_limit_exceeded",  # OpenAI; Groq, whose 413 means one request over the limit
        "rate_limited",  # Mistral
        "resource_exhausted",  # Google
        "rate_limit_reached_error",  # Moonshot
        "throttlingexception",  # Bedrock
        "throttling throttling.ratequota throttling.burstrate",  # DashScope
        "throttling.allocationquota",
        "too_many_requests too_many_requests_error",  # Cerebras
        "ratelimiterror",  # LiteLLM
    )
)
OVERLOADED: Final = Wording(
    codes=codes(
        "overloaded",  # TGI
        "overloaded_error",  # Anthropic
        "server_is_overloaded slow_down service_unavailable",  # OpenAI
        "unavailable",  # Google
        "engine_overloaded_error",  # Moonshot
        "serviceunavailableexception modelnotreadyexception",  # Bedrock
        "queue_exceeded",  # Cerebras
        "serviceunavailableerror",  # LiteLLM
    )
)
"""Both are read where an error comes inside a 200; else the status says them."""
