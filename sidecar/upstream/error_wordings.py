"""How providers word the reasons of their refusals. Pure tables, in lower case.

What makes a call go on, and nothing else, is looked for anywhere in the messages: a caller who gets
the words echoed moves only itself. What ejects a candidate for all callers counts only as a code,
or as the beginning of a message: a server writes that, never a prompt.
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
QUOTA: Final = Wording(
    codes=codes(
        "insufficient_quota",  # OpenAI, Perplexity
        "billing_hard_limit_reached billing_not_active",  # OpenAI
        "billing_error",  # Anthropic, 402
        "exceeded_current_quota_error",  # Moonshot
        "insufficient_balance insufficient_balance_error",  # DeepSeek; MiniMax
        "insufficient_user_quota pre_consume_token_quota_failed",  # new-api and its kin, 403
        "insufficient_funds",  # Vercel
        "insufficient_credits",
        "not_enough_balance",  # Novita, 403
        "arrearage",  # DashScope, 400
        "accountoverdueerror",  # Volcengine, 403
        "payment_method_required",  # SambaNova
        "usage_not_included",  # OpenAI's Codex
        "budget_exceeded budgetexceedederror",  # LiteLLM, 400
    ),
    openings=openings(
        "your credit balance is too low",  # Anthropic, 400
        "you have reached your specified api usage limits",  # Anthropic, 400
        "you exceeded your current quota.{1,120}platform.openai.com",  # OpenAI through gateways
        "your prepayment credits are depleted",  # Gemini, 429
        r"insufficient (?:account )?(?:balance|credits|funds)\b",  # DeepSeek, Z.ai, OpenRouter
        "余额不足",  # Z.ai
        "your account is in arrears",  # Z.ai
        "your account @(?: @)? is suspended",  # Moonshot
        "account @ is suspended",  # Fireworks, 412
        "your account balance is insufficient",  # AIHubMix
        "youve reached your usage limit for this billing cycle",  # Kimi, 403
        "your team @ has either used all available credits",  # xAI, 429
        "your newly created teams? doesnt have any credits",  # xAI, 403
        "you have run out of credits",  # xAI, 403
        "access denied, please make sure your account is in good standing",  # DashScope
        "you have exceeded your monthly included credits",  # Hugging Face
        "credit limit exceeded|key limit exceeded",  # Together; OpenRouter, 403
        "account (?:budget exceeded|invoice is overdue)|payment required",  # OpenCode Zen
        "(?:your )?credits (?:have been )?exhausted",
        "your glm coding plan package has expired|your enterprise package has expired",  # Z.ai
        "weekly/monthly limit exhausted",  # Z.ai
        "not enough balance",  # Novita
        "budget has been exceeded",  # LiteLLM
        "this request requires more credits, or fewer max_tokens.{1,80} can only afford 0\\b",
        "inactive subscription or usage limit reached",  # Mistral
        "balance is not enough|billing hard limit has been reached",
    ),
)
MODEL_GONE: Final = Wording(
    codes=codes(
        "model_not_found",  # OpenAI, Groq, Cerebras, SGLang, Novita: 404, or 403 for a project
        "model_decommissioned",  # Groq, 400
        "model_not_available",  # Together
        "modeldeprecated model_gone model_deprecated model_retired",  # Azure, 410; others
        "model_not_supported",  # Hugging Face, 400
        "deploymentnotfound",  # Azure
        "unknown_model",  # Azure's model inference, GitHub Models
        "invalid_model",  # Mistral, Perplexity: 400
        "notfounderror",  # vLLM, whose only objects are models
        "modelnotfound modelnotopen",  # DashScope; Volcengine
        "invalidendpointormodel.notfound",  # Volcengine
        "ai_nosuchmodelerror",  # Vercel
    ),
    openings=openings(
        "(?:the )?(?:requested |publisher )?model(?: or endpoint)? (?:@ )?"
        r"(?:does not exist|doesnt exist|(?:is |was )?not found)(?:$|\W)",
        "models/@ is not found",  # Gemini
        "(?:the )?model @ has been (?:decommissioned|deprecated|retired|shut ?down|removed)",
        "(?:the )?model @ has reached its end of life",  # NVIDIA, 410
        "(?:the )?model @ is (?:deprecated|no longer available|no longer supported)",
        "(?:the )?@ model is not supported when using",  # OpenAI's Codex
        "unsupported model:",
        "the requested model @ is not supported by any provider",  # Hugging Face
        r"model not exist\W*$",  # DeepSeek
        "not found the model @ or permission denied",  # Moonshot
        "unknown model[:,] ",  # Z.ai, GitHub Models
        "模型不存在",  # Z.ai
        r"invalid model(?:: \S+$| @ permitted models| identifier| name passed in)",
        "@ is not a valid model id",  # OpenRouter
        "no endpoints found for @$",  # OpenRouter
        "no such model",  # Cloudflare
        "unable to access model",  # Together
        "you dont have access to (?:the|this) model (?:with|or)",  # Bedrock; Gemini
        "the provided model identifier is invalid",  # Bedrock
        "invocation of model id @ with on-demand throughput isnt supported",  # Bedrock
        "this model version has reached the end of its life",  # Bedrock
        "function @ not found for account",  # NVIDIA
        "the api deployment for this resource does not exist",  # Azure
        "project @ does not have access to model",  # OpenAI, 403
    ),
)
MODEL_GONE_404: Final = Wording(
    openings=openings(
        r"model: \S+$",  # Anthropic: not_found_error
        r"resource not found\W*$",  # Azure: no such deployment in its path
    )
)
"""What says it only together with a status of 404."""

CREDENTIAL: Final = Wording(
    codes=codes(
        "authentication_error authenticationerror",  # Anthropic, DeepSeek; LiteLLM
        "permission_error",  # Anthropic, 403
        "invalid_api_key wrong_api_key",  # OpenAI, Groq; Cerebras
        "api_key_invalid consumer_suspended consumer_invalid service_disabled",  # Google
        "api_key_service_blocked api_key_ip_address_blocked",  # Google
        "permission_denied unauthenticated",  # Google
        "invalid_authentication_error",  # Moonshot
        "unsupported_country_region_territory request_forbidden",  # OpenAI
        "invalidapikey",  # DashScope
        "failed_to_auth invalid_token",  # Novita; GitHub Models
        "permissiondenied authenticationtypedisabled",  # Azure
        "accessdeniedexception unrecognizedclientexception expiredtokenexception",  # Bedrock
        "invalidsignatureexception missingauthenticationtokenexception",  # Bedrock
        "unauthorized auth_error token_not_found_in_db expired_key",  # LiteLLM
    ),
    openings=openings(
        # Gemini 400; Kimi, Fireworks, LiteLLM, ...
        "(?:the |your |this )?api[ _]key (?:(?:you )?provided )?(?:appears to be |has been |is )?"
        "(?:not valid|not found|invalid|expired|disabled|missing|revoked|deactivated|blocked)",
        "your api key (?:was reported as leaked|does not have permission)",  # Gemini; Anthropic
        "permission denied: consumer api_key",  # Gemini, 403
        "the caller does not have permission",  # Gemini, xAI: 403
        "incorrect api key provided",  # OpenAI, xAI: 400
        "(?:invalid|wrong|expired|missing)[ _](?:api[ _-]?key|x-api-key|bearer token|access token|"
        "authentication|authorization|credentials)",
        "the api key (?:doesnt exist|or ak/sk)",  # Volcengine
        "no (?:cookie )?auth(?:entication)? credentials found|no api key (?:provided|passed in)",
        "access denied due to invalid subscription key",  # Azure
        "the security token included in the request is (?:invalid|expired)",  # Bedrock
        "the request signature we calculated does not match",  # Bedrock
        "authorization failed",  # NVIDIA, 403
        "authentication (?:failed|error)|failed to authenticate",
        r"could not validate credentials|(?:unauthenticated|unauthorized)\W*$",
        "user location is not supported",  # Gemini, 400
        "this organization has been disabled",  # Anthropic, 400
        "this authentication method does not have sufficient permissions",  # Hugging Face, 403
        "token (?:has |is )?expired",
    ),
)
"""What says, with a 400 or a 403, that the key is bad; a 401 says it alone."""

OF_A_RESOURCE: Final = Wording(
    phrases=phrases("permission to access the file", "cachedcontent", "cached content")
)
"""What Google denies because of something that a caller named in its request."""

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
