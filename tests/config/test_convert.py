"""Configs of LiteLLM, and plano's first ones, become ours, and what does not is told."""

from __future__ import annotations

import pytest
import yaml

from sidecar.config.convert import convert
from sidecar.config.convert_litellm import LiteLlmConversion
from sidecar.config.convert_parts import Converted
from sidecar.config.yaml_nodes import Mapping, Sequence, read_document
from tests.config.loading import load

LITELLM = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, rpm: 6}
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: os.environ/AZURE_API_BASE
      api_key: os.environ/AZURE_API_KEY
      api_version: 2024-06-01
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: sk-in-clear}
  - {model_name: claude, litellm_params: {model: claude-sonnet-4-5, api_key: sk-ant-in-clear}}
  - {model_name: claude-2, litellm_params: {model: claude-haiku-4-5, api_key: sk-ant-in-clear}}
  - {model_name: claude-3, litellm_params: {model: claude-opus-4-5, api_key: sk-ant-other}}
  - {model_name: "anthropic/*", litellm_params: {model: "anthropic/*", api_key: "{{ KEY }}"}}
  - {model_name: local, litellm_params: {model: hosted_vllm/llama, base_url: "http://h:8000/v1", api_key: none}}
  - {model_name: own, litellm_params: {model: acme/x, api_base: "http://acme", api_key: sk-acme}}
  - {model_name: br, litellm_params: {model: bedrock/x}}
  - {model_name: who, litellm_params: {model: nobody-knows}}
  - {model_name: nothing}
  - {model_name: null, litellm_params: {model: groq/llama, timeout: 3}}
litellm_settings:
  drop_params: true
  fallbacks: [{"gpt-4o": [claude, missing]}, text, {claude: claude-2}, {unknown: [claude]}]
router_settings:
  routing_strategy: simple-shuffle
  model_group_alias: {"gpt-4": gpt-4o, bad: [1], "gpt-5": missing}
general_settings: {master_key: sk-1234}
callback_settings: {a: b}
"""
FLAT = """
version: v0.1
llm_providers:
  - {name: fast, provider: openai, model: gpt-4o-mini, access_key: $OPENAI_API_KEY, default: true}
  - {model: my-own, endpoint: "h:8000", protocol: https, stream: true}
  - {model: own-2, endpoint: "h:8000", provider_interface: openai}
  - {model: claude-haiku-4-5, access_key: sk-ant-in-clear}
  - {model: acme/x, provider: acme, base_url: "http://acme", access_key: ""}
  - {name: nothing}
  - text
prompt_targets: []
"""


def _converted(text: str) -> Converted | None:
    root = read_document(text).root
    assert isinstance(root, Mapping)
    return convert(root)


def _made(text: str) -> Converted:
    made = _converted(text)
    assert made is not None
    return made


def test_a_config_of_litellm_becomes_ours():
    """Names become aliases, entries of one name follow each other, then its fallbacks."""
    made = _made(LITELLM)
    ours = {each.get("name", each["model"]): each for each in made.config["model_providers"]}

    assert {
        "model": "openai/gpt-4o", "access_key": "${OPENAI_API_KEY}", "default": True,
        "fallbacks": ["azure_openai/gpt-4o-eu", "openai/gpt-4o#3", "anthropic/claude-sonnet-4-5"],
    } == ours["openai/gpt-4o"]  # fmt: skip
    assert {
        "model": "azure_openai/gpt-4o-eu", "base_url": "${AZURE_API_BASE}?api-version=2024-06-01",
        "access_key": "${AZURE_API_KEY}",
    } == ours["azure_openai/gpt-4o-eu"]  # fmt: skip
    assert "${KEY}" == ours["anthropic/*"]["access_key"]
    assert {"model": "vllm/llama", "base_url": "http://h:8000/v1"} == ours["vllm/llama"]
    assert {
        "model": "acme/x", "base_url": "http://acme", "access_key": "$ACME_API_KEY",
        "provider_interface": "openai",
    } == ours["acme/x"]  # fmt: skip
    assert {"model": "groq/llama", "access_key": "${GROQ_API_KEY}"} == ours["groq/llama"]
    aliases = {name: each["target"] for name, each in made.config["model_aliases"].items()}
    assert {
        "claude": "anthropic/claude-sonnet-4-5", "claude-2": "anthropic/claude-haiku-4-5",
        "claude-3": "anthropic/claude-opus-4-5", "local": "vllm/llama", "own": "acme/x",
        "llama": "groq/llama", "gpt-4": "openai/gpt-4o", "br": "amazon_bedrock/x",
    } == aliases  # fmt: skip


def test_keys_in_clear_are_not_written_out():
    """A converted file is shown to others, and committed; each key gets a variable of its own."""
    made = _made(LITELLM)
    written = yaml.safe_dump(made.config) + "\n".join(made.notes)

    assert not [key for key in ("in-clear", "sk-ant-other", "sk-acme", "sk-1234") if key in written]
    keys = [each.get("access_key") for each in made.config["model_providers"]]
    assert ["$ANTHROPIC_API_KEY", "$ANTHROPIC_API_KEY", "$ANTHROPIC_API_KEY_2"] == keys[3:6]


def test_a_key_with_a_dollar_sign_in_it_is_a_key_in_clear():
    """Only a value that is a reference as a whole is written out; part of a key is a secret too."""
    made = _made(
        "model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: sk-real$1x}}]"
    )
    assert "$OPENAI_API_KEY" == made.config["model_providers"][0]["access_key"]
    assert "sk-real" not in yaml.safe_dump(made.config) + "\n".join(made.notes)


def test_a_host_named_env_is_no_variable():
    """``env.X`` is a variable where it is the whole value, as Bifrost has it."""
    made = _made(
        "model_list: [{model_name: a, litellm_params: {model: openai/a, "
        "api_base: 'http://env.prod.svc:8000/v1', api_key: env.KEY}}]"
    )
    (entry,) = made.config["model_providers"]
    assert ("http://env.prod.svc:8000/v1", "${KEY}") == (entry["base_url"], entry["access_key"])


def test_an_address_that_litellm_takes_from_the_environment_is_named():
    """Azure has none that is built in: without it the converted file would not load."""
    made = _made(
        "model_list: [{model_name: a, litellm_params: {model: azure/a, api_version: 2024-10-21}}]"
    )
    (entry,) = made.config["model_providers"]
    assert "${AZURE_API_BASE}?api-version=2024-10-21" == entry["base_url"]


def test_a_wildcard_over_all_providers_is_told_with_what_to_write():
    """It is no API that is not served."""
    made = _made("model_list: [{model_name: '*', litellm_params: {model: '*'}}]")
    assert ("line 1: *: write an entry such as openai/* for each provider",) == made.notes


def test_a_timeout_that_is_left_out_is_told():
    """Seconds of LiteLLM's are not ours: there are four of them here."""
    note = "line 22: litellm_params.timeout is not carried over: see timeouts of the entry"
    assert note in _made(LITELLM).notes


def test_what_has_no_counterpart_is_told_with_its_line():
    """Nobody has to find out by a bill."""
    notes = _made(LITELLM).notes

    for expected in (
        "line 4: litellm_params.rpm has no counterpart",
        "line 12: a key in clear is not carried over: put it into $OPENAI_API_KEY",
        (
            "line 19: bedrock/x: base_url needs the host of your region, and the key is a Bedrock API "
            "key, $AWS_BEARER_TOKEN_BEDROCK, not AWS' own"
        ),
        "line 20: nobody-knows: this API is not served",
        "line 21: an entry of model_list without litellm_params.model",
        (
            "line 24: litellm_settings.drop_params is not carried over: what a model is known to refuse "
            "is left out of calls that another one was asked for"
        ),
        (
            "line 27: router_settings.routing_strategy is not carried over: entries of one name are "
            "tried in their order"
        ),
        "line 25: a fallback of gpt-4o: missing is no model_name here",
        "line 25: fallbacks of unknown: it is no model_name here",
        "line 28: model_group_alias.bad: it names no model_name here",
        "line 28: model_group_alias.gpt-5: it names no model_name here",
        "line 18: acme/x: taken for a server of OpenAI's API",
        "line 30: callback_settings has no counterpart",
        (
            "line 29: general_settings has no counterpart: callers are asked for no key here, the data "
            "port is on loopback"
        ),
    ):
        assert expected in notes


def test_names_that_stand_for_others_are_followed_or_told():
    """Nobody finds out by a 404 what has not come along."""
    made = _made(
        """
model_list:
  - {model_name: "team/*", litellm_params: {model: "openai/*"}}
  - {model_name: "openai/*", litellm_params: {model: "openai/*"}}
  - {model_name: "*", litellm_params: {model: "groq/*"}}
  - {model_name: a, litellm_params: {model: acme/a}}
  - {model_name: b, litellm_params: {model: text-completion-openai/davinci-002}}
  - {model_name: c, litellm_params: {model: whisper-1}}
  - {model_name: d, litellm_params: {model: github/gpt-4o, litellm_credential_name: x}}
litellm_settings: {fallbacks: [{"*": [b]}, {b: [c]}]}
router_settings: {model_group_alias: {"gpt-4": {model: c, hidden: true}, e: {hidden: true}}}
"""
    )
    models = [each["model"] for each in made.config["model_providers"]]
    targets = {name: each["target"] for name, each in made.config["model_aliases"].items()}

    assert ["openai/davinci-002", "openai/whisper-1", "github/gpt-4o"] == models[4:]
    assert ("openai/whisper-1", "acme/a") == (targets["gpt-4"], targets["a"])
    assert (
        "line 3: team/*: a wildcard has no other name here: ask for openai/...",
        "line 6: acme/a: taken for a server of OpenAI's API, whose base_url is to be written",
        "line 9: github/gpt-4o: taken for a server of OpenAI's API, whose base_url is to be written",
        (
            "line 9: litellm_params.litellm_credential_name is not carried over: write access_key "
            "at each entry"
        ),
        "line 11: model_group_alias.e: it names no model_name here",
    ) == made.notes


def test_headers_are_carried_over_without_a_key():
    """A variable stays one; a credential in clear, and what no header may be, is told."""
    made = _made(
        """
model_list:
  - model_name: a
    litellm_params:
      model: openai/a
      extra_headers: {x-team: "a $ b", x-where: os.environ/REGION, authorization: os.environ/TOKEN,
                      api-key: sk-marked, "x y": no, z: [1], "x-n": "a\\nb"}
"""
    )
    (entry,) = made.config["model_providers"]

    assert {
        "x-team": "a $$ b", "x-where": "${REGION}", "authorization": "${TOKEN}",
    } == entry["headers"]  # fmt: skip
    assert (
        "line 7: extra_headers.api-key is not carried over: it is a credential in clear",
        "line 7: extra_headers.x y is not carried over: it is no header",
        "line 7: extra_headers.x-n is not carried over: it is no header",
        "line 7: extra_headers.z is not carried over: it is no header",
    ) == made.notes
    assert "marked" not in yaml.safe_dump(made.config) + "\n".join(made.notes)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (
            "model: bedrock/anthropic.claude-sonnet-4-5-v1:0",
            ("amazon_bedrock/anthropic.claude-sonnet-4-5-v1:0", "${AWS_REGION}"),
        ),
        (
            "model: bedrock/converse/us.openai.gpt-oss-120b-1:0, aws_region_name: os.environ/REGION",
            ("amazon_bedrock/us.openai.gpt-oss-120b-1:0", "${REGION}"),
        ),
        (
            "model: bedrock/us-east-1/anthropic.claude-v2, aws_region_name: eu-central-1",
            ("amazon_bedrock/anthropic.claude-v2", "eu-central-1"),
        ),
    ],
)
def test_bedrock_becomes_ours_with_what_it_needs(params, expected):
    """An address with the region, and its own kind of key; an AWS secret is not written out."""
    secret = "aws_secret_access_key: marked"
    made = _made(f"model_list: [{{model_name: a, litellm_params: {{{params}, {secret}}}}}]")
    (entry,) = made.config["model_providers"]
    model, region = expected

    assert {
        "model": model,
        "base_url": f"https://bedrock-runtime.{region}.amazonaws.com",
        "access_key": "${AWS_BEARER_TOKEN_BEDROCK}",
        "default": True,
    } == entry
    assert "line 1: litellm_params.aws_secret_access_key has no counterpart" in made.notes
    assert "marked" not in yaml.safe_dump(made.config) + "\n".join(made.notes)


def test_an_address_of_bedrocks_own_is_kept():
    """A gateway's, or a private endpoint's."""
    made = _made(
        "model_list: [{model_name: a, litellm_params: {model: bedrock/a, api_base: 'https://gw'}}]"
    )
    assert ("https://gw", ()) == (made.config["model_providers"][0]["base_url"], made.notes)


def test_a_key_that_litellm_takes_from_the_environment_is_named():
    """Azure's, too, which LiteLLM reads beside an address of the file's."""
    made = _made(
        "model_list: [{model_name: a, litellm_params: {model: azure/a, api_base: 'https://a'}}]"
    )
    assert "${AZURE_API_KEY}" == made.config["model_providers"][0]["access_key"]


PRICED = (
    "model_list: [{{model_name: a, litellm_params: {{model: openai/a, {}}}, model_info: {{{}}}}}]"
)


@pytest.mark.parametrize(
    ("params", "info", "price", "notes"),
    [
        (
            "input_cost_per_token: 0.0000025, output_cost_per_token: 1e-05",
            "cache_read_input_token_cost: 1.25e-06",
            {"input": 2.5, "output": 10.0, "cached_input": 1.25},
            (),
        ),
        ("input_cost_per_token: 1e-06", "input_cost_per_token: 9e-06", {"input": 1.0}, ()),
        ("input_cost_per_token: '0'", "", {"input": 0.0}, ()),
        (
            "input_cost_per_token: cheap, output_cost_per_token: -1e-06",
            "cache_read_input_token_cost: .inf",
            None,
            (
                "line 1: cache_read_input_token_cost is not carried over: it is no number",
                "line 1: input_cost_per_token is not carried over: it is no number",
                "line 1: output_cost_per_token is not carried over: it is no number",
            ),
        ),
        (
            "input_cost_per_second: 0.1",
            "",
            None,
            ("line 1: litellm_params.input_cost_per_second has no counterpart",),
        ),
    ],
)
def test_prices_are_carried_over(params, info, price, notes):
    """LiteLLM's are for one token, ours for a million."""
    made = _made(PRICED.format(params, info))
    (entry,) = made.config["model_providers"]

    assert (price, notes) == (entry.get("price"), made.notes)
    assert 1 == len(load(yaml.safe_dump(made.config), OPENAI_API_KEY="k").providers)


@pytest.mark.parametrize("key", ["none", "sk-no-key-required", "Bearer EMPTY", "lm-studio"])
def test_what_people_write_where_no_key_is_wanted_is_no_key(key):
    """The same words that `check` takes for none."""
    made = _made(
        f"model_list: [{{model_name: a, litellm_params: {{model: vllm/a, api_base: 'http://h', api_key: {key}}}}}]"
    )
    assert ("access_key" in made.config["model_providers"][0], made.notes) == (False, ())


def test_what_was_converted_loads():
    """With the variables that it names."""
    text = yaml.safe_dump(_made(LITELLM).config)
    named = dict.fromkeys(
        ("OPENAI_API_KEY", "AZURE_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY_2", "KEY",
         "ACME_API_KEY", "GROQ_API_KEY", "AWS_REGION", "AWS_BEARER_TOKEN_BEDROCK"), "k",
    )  # fmt: skip
    loaded = load(text, AZURE_API_BASE="https://x.openai.azure.com", **named)
    assert 11 == len(loaded.providers)


def test_planos_first_form_becomes_ours():
    """Provider and model were keys of their own, and an address two."""
    made = _made(FLAT)

    assert [
        {"model": "openai/gpt-4o-mini", "name": "fast", "access_key": "${OPENAI_API_KEY}", "default": True},
        {"model": "openai/my-own", "base_url": "https://h:8000"},
        {"model": "openai/own-2", "base_url": "http://h:8000"},
        {"model": "anthropic/claude-haiku-4-5", "access_key": "$ANTHROPIC_API_KEY"},
        {"model": "acme/x", "base_url": "http://acme", "provider_interface": "openai"},
    ] == made.config["model_providers"]  # fmt: skip
    assert (
        "line 5: stream is not carried over",
        "line 7: a key in clear is not carried over: put it into $ANTHROPIC_API_KEY",
        "line 9: an entry without a model",
        "line 10: an entry without a model",
        "line 11: prompt_targets is not carried over",
    ) == made.notes
    assert 5 == len(
        load(yaml.safe_dump(made.config), OPENAI_API_KEY="k", ANTHROPIC_API_KEY="k").providers
    )


def test_what_is_no_flat_form_in_a_flat_file_comes_along():
    """Listeners as they are read here, aliases, and preferences from under their providers, by the
    new names of models.
    """
    made = _made(
        """
version: v0.1
listeners: {egress_traffic: {port: 12001, message_format: openai, timeout: 30s}}
llm_providers:
  - model: gpt-4o
    provider: openai
    access_key: $OPENAI_API_KEY
    routing_preferences: [{name: code, description: "writing: code"}]
  - {model: claude-haiku-4-5, passthrough_auth: true, routing_preferences: [{name: code, description: x}]}
model_aliases: {fast: {target: openai/gpt-4o}}
overrides: {llm_routing_model: openai/gpt-4o, use_agent_orchestrator: false, prompt_target_intent_matching_threshold: 0.5}
tracing: {random_sampling: 100}
"""
    )
    config = made.config

    assert [{"port": 12001, "timeout": "30s", "name": "egress_traffic"}] == config["listeners"]
    assert [
        {
            "name": "code",
            "description": "writing: code",
            "models": ["openai/gpt-4o", "anthropic/claude-haiku-4-5"],
        }
    ] == config["routing_preferences"]
    assert {"fast": {"target": "openai/gpt-4o"}} == config["model_aliases"]
    assert [False, 0.5] == list(config["overrides"].values())[1:]
    assert config["model_providers"][1]["passthrough_auth"]
    assert ("line 12: tracing is not carried over",) == made.notes
    assert 2 == len(load(yaml.safe_dump(config), OPENAI_API_KEY="k").providers)


def test_a_flat_file_that_names_no_version_is_of_the_first_one():
    """In which preferences stood under their providers."""
    preference = "routing_preferences: [{name: code, description: x}]"
    made = _made(f"llm_providers: [{{model: gpt-4o, {preference}}}]")

    assert [["openai/gpt-4o"]] == [each["models"] for each in made.config["routing_preferences"]]


@pytest.mark.parametrize(
    "text",
    [
        "model_providers: [{model: openai/gpt-4o, access_key: k}, text]",
        "llm_providers: [{model: acme/x, provider_interface: openai, base_url: 'http://h'}]",
    ],
)
def test_what_is_read_as_it_stands_is_not_converted(text):
    """It would only lose its comments."""
    assert {} == _made(text).config


def test_a_conversion_of_nothing_is_a_config_of_nothing():
    """A list without entries."""
    root = read_document("model_list: []").root
    assert isinstance(root, Mapping)
    models = root.get("model_list")
    assert models is not None
    assert isinstance(models.value, Sequence)
    assert [] == LiteLlmConversion(root).converted(models.value).config["model_providers"]


def test_other_files_are_not_guessed_at():
    """Neither kind, or its main key in another shape."""
    assert [None] * 3 == [
        _converted(text) for text in ("a: 1", "model_list: {}", "llm_providers: x")
    ]


def test_sections_and_models_that_are_missing():
    """A list alone is a config too; one of wildcards has no default."""
    made = _made("model_list: [{model_name: '*', litellm_params: {model: 'openai/*'}}]")
    entry = {"model": "openai/*", "access_key": "${OPENAI_API_KEY}"}
    assert {"version": "v0.4.0", "model_providers": [entry]} == made.config
    assert {"version": "v0.4.0", "model_providers": []} == _made("model_list: []").config
    made = _made("model_list: []\nrouter_settings: x\nlitellm_settings: {fallbacks: [{a: b}]}")
    assert () == made.notes
