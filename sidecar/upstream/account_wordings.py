"""How providers word what is wrong with an account: its key, its money, its models. Pure tables, in
lower case.

This ejects a candidate for all callers. So it counts only as a code, or as the beginning of a
message: a server writes that, never a prompt.
"""

from __future__ import annotations

from typing import Final

from sidecar.upstream.wording import Wording, codes, openings, phrases

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
OF_A_MODEL: Final = Wording(
    openings=openings(
        "(?:the )?(?:requested |publisher )?model(?: or endpoint)? (?!is |was )@ "
        "(?:does not exist|doesnt exist|(?:is |was )?not found|is not supported by any)",
        "models/@ is not found",
        "(?:the )?@ model is not supported when using",
        "not found the model @ or permission denied",
        r"(?:unknown|invalid) model[:,] \S+$",
        "@ is not a valid model id",
        "no endpoints found for @$",
    )
)
"""What names the model that is gone. A caller may name a second one in its body: OpenRouter's
``models``, the model of a tool.
"""

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
        "invalid_api_key wrong_api_key missing_api_key",  # OpenAI, Groq; Cerebras
        "api_key_invalid consumer_suspended consumer_invalid service_disabled",  # Google
        "api_key_service_blocked api_key_ip_address_blocked",  # Google
        "permission_denied unauthenticated",  # Google
        "invalid_authentication_error access_terminated_error",  # Moonshot; Kimi, 403
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
        "(?:not valid|not found|invalid|expired|disabled|missing|required|revoked|deactivated|"
        "blocked)",
        "your api key (?:was reported as leaked|does not have permission)",  # Gemini; Anthropic
        "permission denied: consumer api_key",  # Gemini, 403
        "the caller does not have permission",  # Gemini, xAI: 403
        "incorrect api key provided",  # OpenAI, xAI: 400
        "(?:invalid|wrong|expired|missing)(?: or [a-z]+)?[ _](?:api[ _-]?key|x-api-key|bearer token"
        "|access token|authentication|authorization|credentials)",
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
    codes=codes("external_connector_error"),  # OpenAI: a server of the caller's tools
    phrases=phrases(
        "mcp server",  # Anthropic, OpenAI: likewise, which refuses the caller's token
        "permission to access the file",  # Google
        "cachedcontent",
        "cached content",
        "access tuned model",
        "access to file",  # Anthropic, OpenAI
        "access to this beta",  # Anthropic, whose betas are the caller's header
        "access to the beta",
        "beta feature",
    ),
)
"""What is denied because of something that a caller named in its request."""
