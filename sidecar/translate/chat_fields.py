"""The fields of chat's requests, and what becomes of each: lines as `fields` describes them.

Source: the parameter types of OpenAI's SDK, beside
https://platform.openai.com/docs/api-reference/chat/create.
"""

from typing import Final

_TEXT: Final = "messages[developer|system|user|assistant|tool].content[text]"

CHAT_FIELDS: Final = """
messages carried or decisive @prefill
messages[developer|system].role carried or harmless @late_system
messages[user|assistant|tool|function].role carried
messages[developer|system|user|assistant].name harmless
messages[developer|system|user|assistant|tool].content carried
<text>.text carried
<text>.type harmless = *
<text>.prompt_cache_breakpoint carried or harmless @cache
<text>.prompt_cache_breakpoint.mode harmless = *
<text>.prompt_cache_breakpoint.ttl harmless
messages[user].content[image_url].image_url carried or decisive @images
messages[user].content[image_url].image_url.url carried
messages[user].content[image_url].image_url.detail carried or harmless @detail
messages[user].content[image_url].type harmless = *
messages[user].content[image_url].prompt_cache_breakpoint carried or harmless @cache
messages[user].content[input_audio] decisive
messages[user].content[file].file carried
messages[user].content[file].file.file_data carried or decisive @documents
messages[user].content[file].file.file_id decisive
messages[user].content[file].file.filename carried
messages[user].content[file].type harmless = *
messages[user].content[file].prompt_cache_breakpoint carried or harmless @cache
messages[assistant].content[refusal].refusal carried
messages[assistant].content[refusal].type harmless = *
messages[assistant].audio avoidable
messages[assistant].function_call carried
messages[assistant].function_call.arguments carried
messages[assistant].function_call.name carried
messages[assistant].refusal carried
messages[assistant].tool_calls carried
messages[assistant].tool_calls[function].id carried
messages[assistant].tool_calls[function].type harmless = *
messages[assistant].tool_calls[function].function carried
messages[assistant].tool_calls[function].function.arguments carried
messages[assistant].tool_calls[function].function.name carried
messages[assistant].tool_calls[custom].id carried
messages[assistant].tool_calls[custom].type harmless = *
messages[assistant].tool_calls[custom].custom carried
messages[assistant].tool_calls[custom].custom.input carried
messages[assistant].tool_calls[custom].custom.name carried
messages[tool].tool_call_id carried
messages[function].content carried
messages[function].name carried
model carried
audio decisive
frequency_penalty harmless = 0 0.0
function_call carried
function_call.name carried
functions carried
functions.name carried
functions.description carried
functions.parameters carried
logit_bias decisive = {}
logprobs decisive = false
max_completion_tokens carried or harmless @max_tokens
max_tokens carried or harmless @max_tokens
metadata harmless = {}
modalities decisive = ["text"]
moderation shared or avoidable
n decisive = 1
parallel_tool_calls carried or avoidable @parallel
prediction harmless
presence_penalty harmless = 0 0.0
prompt_cache_key carried or harmless @cache_key
prompt_cache_options shared or harmless
prompt_cache_retention shared or harmless
reasoning_effort carried or harmless @effort
response_format carried or decisive @output
response_format[text].type harmless = *
response_format[json_object].type carried
response_format[json_schema].type carried
response_format[json_schema].json_schema carried
response_format[json_schema].json_schema.name carried
response_format[json_schema].json_schema.description carried or harmless @output_description
response_format[json_schema].json_schema.schema carried
response_format[json_schema].json_schema.strict carried
safety_identifier carried or harmless @user
seed harmless
service_tier carried or harmless @service_tier
stop carried or avoidable @stop
store avoidable = false
stream carried
stream_options carried
stream_options.include_obfuscation harmless = *
stream_options.include_usage carried
temperature carried or harmless @temperature
tool_choice carried or decisive @forced_tools
tool_choice[allowed_tools].type carried
tool_choice[allowed_tools].allowed_tools carried
tool_choice[allowed_tools].allowed_tools.mode carried
tool_choice[allowed_tools].allowed_tools.tools carried
tool_choice[function].type harmless = *
tool_choice[function].function carried
tool_choice[function].function.name carried
tool_choice[custom].type harmless = *
tool_choice[custom].custom carried
tool_choice[custom].custom.name carried
tools carried or decisive @tools
tools[function].type harmless = *
tools[function].function carried
tools[function].function.name carried
tools[function].function.description carried
tools[function].function.parameters carried
tools[function].function.strict carried or decisive @strict_tools
tools[custom].type harmless = *
tools[custom].custom carried
tools[custom].custom.name carried
tools[custom].custom.description carried
tools[custom].custom.format avoidable = {"type":"text"}
top_logprobs decisive = 0
top_p carried or harmless @top_p
user carried or harmless @user
verbosity carried or harmless @verbosity
web_search_options decisive
~routing_preferences harmless = *
~top_k carried or harmless @top_k
~messages[developer|system|user|assistant|tool].cache_control carried or harmless @cache
~<text>.cache_control carried or harmless @cache
~messages[user].content[image_url|file].cache_control carried or harmless @cache
~messages[tool].name harmless = *
~messages[tool].content[image_url].image_url carried
~messages[tool].content[image_url].image_url.url carried
~messages[tool].content[image_url].image_url.detail carried or harmless @detail
~messages[tool].content[image_url].type harmless = *
~messages[assistant].annotations harmless = []
~messages[assistant].{reasoning,reasoning_content,reasoning_details,thinking_blocks} harmless
~messages[assistant].{extra_content,provider_specific_fields} harmless
~messages[assistant].tool_calls[function].{extra_content,provider_specific_fields} harmless
~messages[assistant].tool_calls[function|custom].index harmless = *
~tools[function].cache_control carried or harmless @cache
~tools[function].function.cache_control carried or harmless @cache
""".replace("<text>", _TEXT)
"""From the first to the last of its reference, then what its clients send beside it."""
