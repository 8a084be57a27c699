"""The fields of the requests of the messages API, and what becomes of each: lines as `fields`
describes them.

Source: the parameter types of Anthropic's SDK, beta ones included, beside
https://platform.claude.com/docs/en/api/messages/create.
"""

from typing import Final

_TEXT: Final = (
    "{system,messages[system|user|assistant].content,messages[user].content[tool_result].content}"
    "[text]"
)
_PART: Final = "{messages[user].content,messages[user].content[tool_result].content}"
"""Where texts stand, and the user's other content."""

MESSAGES_FIELDS: Final = """
cache_control carried or harmless @cache
billing_policy harmless
compaction decisive
container decisive
context_management harmless
diagnostics harmless
fallback_credit_token harmless
fallbacks harmless = []
inference_geo decisive
max_tokens carried or harmless @max_tokens
mcp_servers avoidable = []
messages carried or decisive @prefill
messages[user|assistant].{content,role} carried
messages[system].content carried
messages[system].role carried or harmless @late_system
messages[system].clear_at harmless = "never"
messages[system].output_config harmless = {}
<text>.text carried
<text>.type harmless = *
<text>.citations harmless = []
<text>.cache_control carried or harmless @cache
<text>.cache_control[ephemeral].type harmless = *
<text>.cache_control[ephemeral].ttl carried or harmless @cache_ttl
<part>[image].source carried or decisive @images
<part>[image].source[base64].{data,media_type} carried
<part>[image].source[url].url carried
<part>[image].source[base64|url].type harmless = *
<part>[image].source[file] decisive
<part>[image].transformations harmless = {}
<part>[image].cache_control carried or harmless @cache
<part>[document].source carried or decisive @documents
<part>[document].source[base64|text].{data,media_type} carried
<part>[document].source[url].url carried or decisive @document_urls
<part>[document].source[base64|text|url].type harmless = *
<part>[document].source[content] avoidable
<part>[document].source[file] decisive
<part>[document].title carried
<part>[document].context harmless
<part>[document].citations avoidable = {"enabled":false}
<part>[document].cache_control carried or harmless @cache
<part>[search_result].{content,source,title} carried
<part>[search_result].content[text].text carried
<part>[search_result].content[text].type harmless = *
<part>[search_result].content[text].citations harmless = []
<part>[search_result].content[text].cache_control harmless
<part>[search_result].citations avoidable = {"enabled":false}
<part>[search_result].cache_control carried or harmless @cache
<part>[image|document|search_result].type harmless = *
messages[user].content[tool_result].{tool_use_id,content} carried
messages[user].content[tool_result].is_error carried or harmless @is_error
messages[user].content[tool_result].cache_control carried or harmless @cache
messages[user].content[tool_result].toolset_name harmless
messages[user].content[tool_result].type harmless = *
messages[user].content[tool_result].content[browser_state|tool_reference] avoidable
messages[assistant].content[tool_use].{id,input,name} carried
messages[assistant].content[tool_use].cache_control carried or harmless @cache
messages[assistant].content[tool_use].caller harmless = {"type":"direct"}
messages[assistant].content[tool_use].toolset_name harmless
messages[assistant].content[tool_use].type harmless = *
messages[user|assistant].content[compaction].content carried
messages[user|assistant].content[compaction].{encrypted_content,signature} harmless = *
messages[user|assistant].content[compaction].tool_changes avoidable = []
messages[user|assistant].content[compaction].cache_control carried or harmless @cache
messages[user|assistant].content[compaction].type harmless = *
messages[user|assistant].content[thinking|redacted_thinking|fallback] harmless
messages[user].content[tool_use] avoidable
messages[assistant].content[tool_result|image|document|search_result] avoidable
messages[user|assistant].content[container_upload] decisive
messages[system|user|assistant].content[tool_addition|tool_removal] avoidable
messages[user|assistant].content[server_tool_use|mcp_tool_use|mcp_tool_result] avoidable
messages[user|assistant].content[mcp_tool_listing] avoidable
messages[user|assistant].content[web_search_tool_result|web_fetch_tool_result] avoidable
messages[user|assistant].content[code_execution_tool_result] avoidable
messages[user|assistant].content[bash_code_execution_tool_result] avoidable
messages[user|assistant].content[text_editor_code_execution_tool_result] avoidable
messages[user|assistant].content[tool_search_tool_result|advisor_tool_result] avoidable
metadata carried
metadata.user_id carried or harmless @user
model carried
output_config carried
output_config.effort carried or harmless @effort
output_config.format carried or decisive @output
output_config.format[json_schema].{schema,type} carried
output_config.task_budget harmless
service_tier carried or harmless @service_tier
speed harmless = "standard"
stop_sequences carried or avoidable @stop
stream carried
system carried
thinking harmless = {"type":"disabled"}
thinking[enabled].budget_tokens carried or harmless @effort
thinking[enabled|adaptive].type carried
thinking[disabled].type carried or harmless @effort
thinking[enabled|adaptive].{display,block_binding} harmless = *
thinking[between_tools] harmless
thread decisive
tool_choice carried or decisive @forced_tools
tool_choice[auto|any|tool|none].type carried
tool_choice[auto|any|tool].disable_parallel_tool_use carried or avoidable @parallel
tool_choice[tool].name carried
tools carried or decisive @tools
tools[custom].{name,description,input_schema} carried
tools[custom].strict carried or decisive @strict_tools
tools[custom].cache_control carried or harmless @cache
tools[custom].allowed_callers avoidable = ["direct"]
tools[custom].defer_loading harmless = false
tools[custom].eager_input_streaming harmless = *
tools[custom].input_examples harmless = []
tools[custom].type harmless = *
tools[bash_20241022|bash_20250124|memory_20250818|mcp_toolset|advisor_20260301] avoidable
tools[text_editor_20241022|text_editor_20250124|text_editor_20250429|text_editor_20250728] avoidable
tools[computer_20241022|computer_20250124|computer_20251124] avoidable
tools[browser_toolset_20260801|computer_toolset_20260801] avoidable
tools[code_execution_20250522|code_execution_20250825|code_execution_20260120] avoidable
tools[code_execution_20260521] avoidable
tools[web_search_20250305|web_search_20260209|web_search_20260318] avoidable
tools[web_fetch_20250910|web_fetch_20260209|web_fetch_20260309|web_fetch_20260318] avoidable
tools[tool_search_tool_bm25|tool_search_tool_bm25_20251119] avoidable
tools[tool_search_tool_regex|tool_search_tool_regex_20251119] avoidable
betas harmless = *
user_profile_id harmless = *
workspace_id harmless = *
~anthropic_version harmless = *
~routing_preferences harmless = *
~output_format carried or decisive @output
~temperature carried or harmless @temperature
~top_k carried or harmless @top_k
~top_p carried or harmless @top_p
""".replace("<text>", _TEXT).replace("<part>", _PART)
"""What it holds, then what its clients send beside it: older models take the sampling parameters,
which its types no longer name.
"""
