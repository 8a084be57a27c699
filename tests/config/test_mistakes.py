"""The commonest mistakes in config files, each with a message that leads to the fix."""

from __future__ import annotations

import pytest

from sidecar.config.hints import family_of_id
from tests.config.loading import ONE_PROVIDER, problems, warnings

ENTRY = "model_providers:\n  - model: openai/gpt-4o\n    access_key: k\n    default: true\n"
NO_MODEL = (
    "1: model_providers: expected a list; write an entry for each model: - model: openai/gpt-4o"
)
INDENT = "belongs under model_providers, in an entry that begins with a dash; indent it"
SHAPE = "must be provider/model, or provider/* for all of a provider's models"
AT_MODEL = "2: model_providers[0].model: "

MISTAKES = {
    "a model without its provider": (
        "model_providers:\n  - model: gpt-4o\n",
        [f"{AT_MODEL}{SHAPE}; write openai/gpt-4o"],
    ),
    "a model of an unknown maker": (
        "model_providers:\n  - model: my-own\n",
        [f"{AT_MODEL}{SHAPE}"],
    ),
    "a provider beside the model": (
        "model_providers:\n  - model: gpt-4o\n    provider: azure_openai\n",
        [
            f"{AT_MODEL}{SHAPE}; write azure_openai/gpt-4o",
            "3: model_providers[0].provider: unknown key 'provider'; write model: azure_openai/gpt-4o",
        ],
    ),
    "a provider by another tool's name beside the model": (
        "model_providers:\n  - model: gpt-4o\n    provider: Azure\n",
        [
            f"{AT_MODEL}{SHAPE}; write azure_openai/gpt-4o",
            "3: model_providers[0].provider: unknown key 'provider'; write model: azure_openai/gpt-4o",
        ],
    ),
    "keys of an entry as JavaScript spells them": (
        f"{ENTRY}    apiKey: k\n    baseURL: http://h\n",
        [
            "5: model_providers[0].apiKey: unknown key 'apiKey'; write access_key",
            "6: model_providers[0].baseURL: unknown key 'baseURL'; write base_url",
        ],
    ),
    "a key of an entry that is indented as its dash": (
        "model_providers:\n  - model: openai/gpt-4o\n  access_key: k\n",
        ["3: not YAML: a key beside a list; indent it as deep as the keys of the entry above"],
    ),
    "a switch in the place of a word": (
        f"{ENTRY}unlisted_paths: false\n",
        ["5: unlisted_paths: expected refuse or serve"],
    ),
    "a list in the place of aliases": (
        f"{ENTRY}model_aliases:\n  - fast: openai/gpt-4o\n",
        [
            (
                "5: model_aliases: expected a mapping; write the name as the key: "
                "fast: {target: openai/gpt-4o}"
            )
        ],
    ),
    "an interface beside the model": (
        "model_providers:\n  - model: my-own\n    provider_interface: openai\n",
        [f"{AT_MODEL}{SHAPE}; write openai/my-own"],
    ),
    "a server beside a model of one's own": (
        "model_providers:\n  - model: my-own\n    base_url: http://h:1\n",
        [f"{AT_MODEL}{SHAPE}; write vllm/my-own"],
    ),
    "a provider beside a whole model": (
        "model_providers:\n  - model: openai/gpt-4o\n    provider: openai\n",
        [
            (
                "3: model_providers[0].provider: unknown key 'provider'; "
                "leave it out: the provider stands before the slash of model"
            )
        ],
    ),
    "a provider that is not built in beside its model": (
        (
            "model_providers:\n  - model: acme/m\n    provider: acme\n    provider_interface: openai\n"
            "    base_url: http://h\n"
        ),
        [
            (
                "3: model_providers[0].provider: unknown key 'provider'; "
                "leave it out: the provider stands before the slash of model"
            )
        ],
    ),
    "a provider without a model": (
        "model_providers:\n  - provider: openai\n",
        [
            "2: model_providers[0].provider: unknown key 'provider'; write model: openai/model",
            "2: model_providers[0]: needs model",
        ],
    ),
    "an entry that is not indented": (
        "model_providers:\nmodel: openai/gpt-4o\naccess_key: k\n",
        [NO_MODEL, f"2: model: {INDENT}", f"3: access_key: {INDENT}"],
    ),
    "plano's old endpoint and protocol": (
        f"{ENTRY}    endpoint: h:8000\n    protocol: https\n",
        [
            "5: model_providers[0].endpoint: write base_url: https://h:8000",
            "6: model_providers[0].protocol: write base_url: https://h:8000",
        ],
    ),
    "plano's old protocol alone": (
        f"{ENTRY}    protocol: http\n",
        ["5: model_providers[0].protocol: write base_url: http://host:port"],
    ),
    "a path beside the base URL": (
        f"{ENTRY}    base_url_path_prefix: /x\n",
        [
            (
                "5: model_providers[0].base_url_path_prefix: unknown key 'base_url_path_prefix'; "
                "put the path into base_url: http://host:port/prefix"
            )
        ],
    ),
    "a listener of plano's agents": (
        f"{ENTRY}listeners:\n  - {{type: agent, name: a, port: 1, router: r}}\n",
        [
            (
                "6: listeners[0].type: is not served: this sidecar serves model listeners, "
                "not agents, prompts or filters"
            )
        ],
    ),
    "a listener without its dash": (
        f"{ENTRY}listeners:\n  type: model\n  name: llm\n  port: 12000\n",
        ["5: listeners: expected a list; put a dash before its first key: - type: model"],
    ),
    "prompts for a listener": (
        f"{ENTRY}listeners:\n  - {{type: prompt, name: a, port: 1, prompt_targets: []}}\n",
        [
            (
                "6: listeners[0].type: is not served: this sidecar serves model listeners, "
                "not agents, prompts or filters"
            )
        ],
    ),
    "an unknown key of a model listener": (
        f"{ENTRY}listeners:\n  - {{type: model, name: a, prt: 1}}\n",
        ["6: listeners[0].prt: unknown key 'prt'; did you mean 'port'?"],
    ),
    "a type that is no text": (
        f"{ENTRY}listeners:\n  - {{type: [model], prt: 1}}\n",
        [
            "6: listeners[0].type: expected text",
            "6: listeners[0].prt: unknown key 'prt'; did you mean 'port'?",
        ],
    ),
    "a retry policy": (
        f"{ENTRY}    retry_policy: {{}}\n",
        [
            (
                "5: model_providers[0].retry_policy: unknown key 'retry_policy'; other models are tried "
                "as fallbacks of the entry name them, limits.attempts times in all"
            )
        ],
    ),
    "a file of LiteLLM": (
        "model_list: []\nlitellm_settings: {}\n",
        ["1: this is a file of LiteLLM: `plano-sidecar convert FILE` writes one for this sidecar"],
    ),
    "a file of Bifrost": (
        "Providers: {}\n",
        [
            (
                "1: this is a file of Bifrost or claude-code-router: write an entry under "
                "model_providers for each of its models, as `plano-sidecar init` does"
            )
        ],
    ),
    "another tool's key beside ours": (
        f"providers: 3\n{ENTRY}",
        ["1: providers: unknown key 'providers'; did you mean 'model_providers'?"],
    ),
    "preferences that are no list": (
        f"{ENTRY}routing_preferences:\n  code: writing code\n",
        [
            (
                "5: routing_preferences: expected a list; write an entry for each: "
                "- {name: code, description: writing code, models: [openai/gpt-4o]}"
            )
        ],
    ),
    "a password with a dollar sign": (
        "model_providers:\n  - model: openai/m\n    access_key: pa$word\n",
        [
            (
                "3: model_providers[0].access_key: what follows a dollar sign names no environment "
                "variable; a dollar sign itself is written $$"
            )
        ],
    ),
    "a password with a dollar sign and capitals": (
        "model_providers:\n  - model: openai/m\n    access_key: pa$WORD\n",
        [
            (
                "3: model_providers[0].access_key: what follows a dollar sign names no environment "
                "variable; a dollar sign itself is written $$"
            )
        ],
    ),
    "a variable that is not set": (
        "model_providers:\n  - model: openai/m\n    access_key: Bearer $TOKEN\n",
        ["3: model_providers[0].access_key: environment variable TOKEN is not set"],
    ),
    "a base URL that goes on to the endpoint": (
        "model_providers:\n  - model: vllm/m\n    base_url: http://h/v1/chat/completions/\n",
        [
            (
                "3: model_providers[0].base_url: must end before the endpoint: "
                "leave /chat/completions out"
            )
        ],
    ),
    "a base URL that goes on to a count of tokens": (
        "model_providers:\n  - model: anthropic/m\n    base_url: http://h/v1/messages/count_tokens\n",
        [
            (
                "3: model_providers[0].base_url: must end before the endpoint: "
                "leave /messages/count_tokens out"
            )
        ],
    ),
    "a base URL that goes on to another endpoint": (
        "model_providers:\n  - model: openai/m\n    base_url: http://h/v1/images/generations\n",
        [
            (
                "3: model_providers[0].base_url: must end before the endpoint: "
                "leave /images/generations out"
            )
        ],
    ),
    "a tenant by a credential": (
        f"{ENTRY}routing: {{session_cache: {{tenant_header: Authorization}}}}\n",
        [
            (
                "5: routing.session_cache.tenant_header: 'Authorization' carries a credential and "
                "cannot be a name"
            )
        ],
    ),
    "Redis' URL of a variable that is not set": (
        f"{ENTRY}routing:\n  session_cache:\n    type: redis\n    url: ${{UNSET}}\n",
        ["8: routing.session_cache.url: environment variable UNSET is not set"],
    ),
    "no URL of Redis": (
        f"{ENTRY}routing:\n  session_cache:\n    type: redis\n",
        ["6: routing.session_cache: type redis needs url"],
    ),
    "a tab": (
        "model_providers:\n\t- model: openai/gpt-4o\n",
        ["2: not YAML: a tab; YAML is indented with spaces"],
    ),
    "a tab before a key": (
        "model_providers:\n  - model: openai/gpt-4o\n\taccess_key: k\n",
        ["3: not YAML: a tab; YAML is indented with spaces"],
    ),
    "an open quote": (
        'model_providers:\n  - model: "openai/gpt-4o\n    access_key: k\nlimits:\n  attempts: 3\n',
        ["2: not YAML: the quote that opens here is not closed"],
    ),
    "an open quote of the other kind": (
        "model_providers:\n  - model: 'openai/gpt-4o\n    access_key: k\nlimits:\n  attempts: 3\n",
        ["2: not YAML: the quote that opens here is not closed"],
    ),
    "a model that is no entry": (
        "model_providers:\n  - openai/gpt-4o\n",
        ["2: model_providers[0]: expected a mapping; write - model: openai/gpt-4o"],
    ),
    "a prefix of LiteLLM's": (
        "model_providers:\n  - {model: azure/gpt-4o, access_key: k}\n",
        [
            (
                "2: model_providers[0].model: the prefix of 'azure/gpt-4o' is not built in: "
                "it needs base_url and provider_interface; did you mean 'azure_openai'?"
            )
        ],
    ),
    "a provider by its maker's name": (
        "model_providers:\n  - {model: google/gemini-2.5-pro, access_key: k}\n",
        [
            (
                "2: model_providers[0].model: the prefix of 'google/gemini-2.5-pro' is not built in: "
                "it needs base_url and provider_interface; did you mean 'gemini'?"
            )
        ],
    ),
    "an alias without target": (
        f"{ENTRY}model_aliases:\n  fast: openai/gpt-4o\n",
        ["6: model_aliases.fast: expected a mapping; write fast: {target: openai/gpt-4o}"],
    ),
    "an alias that is a list": (
        f"{ENTRY}model_aliases:\n  fast: [a]\n",
        ["6: model_aliases.fast: expected a mapping"],
    ),
    "a misspelt model of the cheapest": (
        (
            f"{ENTRY}routing_preferences:\n  - name: a\n    description: b\n    models: [openai/gpt-4oo]\n"
            "    selection_policy: {prefer: cheapest}\n"
        ),
        [
            (
                "8: routing_preferences[0].models[0]: 'openai/gpt-4oo' is not a configured model; "
                "did you mean 'openai/gpt-4o'?"
            )
        ],
    ),
    "plano's hosted router": (
        f"{ENTRY}overrides:\n  llm_routing_model: Plano-Orchestrator\n",
        [
            (
                "6: overrides.llm_routing_model: 'Plano-Orchestrator' is not a configured model; plano's "
                "hosted router is not built in: add an entry "
                "`- {model: plano/Plano-Orchestrator, base_url: http://host:port}`"
            )
        ],
    ),
    "another router that has no entry": (
        f"{ENTRY}overrides:\n  llm_routing_model: openai/gpt-4\n",
        [
            (
                "6: overrides.llm_routing_model: 'openai/gpt-4' is not a configured model; "
                "did you mean 'openai/gpt-4o'?"
            )
        ],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_fix(mistake):
    """One line a mistake: what to write, at its line, and nothing of a secret."""
    text, expected = MISTAKES[mistake]
    assert expected == problems(text)


@pytest.mark.parametrize(
    ("text", "is_warned"),
    [
        (ENTRY, False),
        (ENTRY.replace("    default: true\n", ""), True),
        ("model_providers: [{model: openai/*, access_key: k}]", False),
        ("model_providers: [{model: plano/R, base_url: 'http://r'}, {model: openai/*, access_key: k}]", False),
    ],
)  # fmt: skip
def test_a_config_without_a_default_is_worth_a_word(text, is_warned):
    """Calls without a model are then refused. A wildcard cannot be the default."""
    expected = "1: model_providers: no entry is the default: calls that name no model are refused"
    assert [expected] * is_warned == warnings(text)


def test_planos_system_prompts_are_accepted():
    """Plano's own demo has them; the app's own prompt stands."""
    text = (
        f"system_prompt: be kind\n{ONE_PROVIDER}overrides: {{llm_routing_model: openai/gpt-4o}}\n"
        "routing_preferences:\n"
        "  - {name: a, description: b, models: [openai/gpt-4o], system_prompt: x}\n"
    )
    expected = [
        "1: system_prompt: is accepted but not served: the app's own stands",
        "5: routing_preferences[0].system_prompt: is accepted but not served: the app's own stands",
    ]
    assert expected == warnings(text)


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4o", "openai"), ("o3", "openai"), ("o4-mini", "openai"), ("whisper-1", "openai"),
        ("tts-1-hd", "openai"), ("dall-e-3", "openai"), ("Claude-Sonnet-4-5", "anthropic"),
        ("gemini-2.5-pro", "gemini"), ("mistral-large", "mistral"), ("mixtral-8x7b", "mistral"),
        ("open-mixtral-8x7b", "mistral"), ("deepseek-chat", "deepseek"), ("grok-4", "xai"),
        ("kimi-k2", "moonshotai"), ("glm-4.6", "zhipu"), ("qwen3-coder", "qwen"), ("sonar", "perplexity"),
        ("Arch-Router", "plano"), ("ollama", ""), ("gpt", "openai"), ("gptx", ""),
    ],
)  # fmt: skip
def test_makers_are_known_by_how_their_ids_begin(model, family):
    """Only where the whole first word is the maker's."""
    assert family == family_of_id(model)
