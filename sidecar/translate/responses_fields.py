"""The fields of the requests of the responses API, and what becomes of each: lines as `fields`
describes them.

Source: the parameter types of OpenAI's SDK, beside
https://platform.openai.com/docs/api-reference/responses/create.
"""

from typing import Final

_LISTS: Final = "{tools,input[additional_tools].tools}"
"""Where an app offers its tools: with the request, or from an item of the conversation on."""
_TOOLS: Final = (
    "{tools,tools[namespace].tools,"
    "input[additional_tools].tools,input[additional_tools].tools[namespace].tools}"
)
_PART: Final = (
    "{input[message].content,input[function_call_output].output,"
    "input[custom_tool_call_output].output}"
)
"""Where texts, images and files stand."""

RESPONSES_FIELDS: Final = (
    """
access_programs avoidable
background decisive = false
background_options harmless
context_management avoidable = []
conversation decisive
image harmless
include harmless = []
input carried or decisive @prefill
input[message].role carried or harmless @late_system
input[message].content carried
input[message].{id,status,type} harmless = *
input[message].phase harmless
input[message].content[input_text|output_text].text carried
input[message].content[input_text|output_text].type harmless = *
input[message].content[output_text].{annotations,logprobs} harmless = []
input[message].content[refusal].refusal carried
input[message].content[refusal].type harmless = *
<part>[input_text].prompt_cache_breakpoint carried or harmless @cache
<part>[input_text].prompt_cache_breakpoint.mode harmless = *
<part>[input_text].prompt_cache_breakpoint.ttl harmless
<part>[input_image].type harmless = *
<part>[input_image].image_url carried or decisive @images
<part>[input_image].detail carried or harmless @detail
<part>[input_image].file_id decisive
<part>[input_image].prompt_cache_breakpoint carried or harmless @cache
<part>[input_file].type harmless = *
<part>[input_file].file_data carried or decisive @documents
<part>[input_file].file_url carried or decisive @document_urls
<part>[input_file].file_id decisive
<part>[input_file].filename carried
<part>[input_file].detail harmless = "auto"
<part>[input_file].prompt_cache_breakpoint carried or harmless @cache
input[function_call].{arguments,call_id,name} carried
input[function_call].{id,status,type} harmless = *
input[function_call|custom_tool_call].async harmless = false
input[function_call|custom_tool_call].caller harmless = {"type":"direct"}
input[function_call|custom_tool_call].namespace carried
input[function_call_output|custom_tool_call_output].{call_id,output} carried
input[function_call_output|custom_tool_call_output].{id,type} harmless = *
input[function_call_output].{name,status} harmless = *
input[function_call_output].namespace harmless = *
input[function_call_output|custom_tool_call_output].caller harmless = {"type":"direct"}
input[function_call_output|custom_tool_call_output].output[input_text].text carried
input[function_call_output|custom_tool_call_output].output[input_text].type harmless = *
input[custom_tool_call].{call_id,input,name} carried
input[custom_tool_call].{id,type} harmless = *
input[reasoning] harmless
input[compaction|compaction_trigger|configuration_update|item_reference] decisive
input[computer_call|computer_call_output|local_shell_call|local_shell_call_output] decisive
input[shell_call|shell_call_output|apply_patch_call|apply_patch_call_output] decisive
input[mcp_approval_request|mcp_approval_response] decisive
input[mcp_call|mcp_list_tools|program|program_output] avoidable
input[additional_tools].tools carried or decisive @tools
input[additional_tools].{id,role,type} harmless = *
input[tool_search_call|tool_search_output] avoidable
input[code_interpreter_call|file_search_call|image_generation_call|web_search_call] avoidable
instructions carried
max_output_tokens carried or harmless @max_tokens
max_tool_calls harmless
metadata harmless = {}
model carried
moderation shared or avoidable
parallel_tool_calls carried or avoidable @parallel
previous_response_id decisive
prompt decisive
prompt_cache_key carried or harmless @cache_key
prompt_cache_options shared or harmless
prompt_cache_retention shared or harmless
reasoning carried
reasoning.effort carried or harmless @effort
reasoning.{summary,generate_summary} harmless
reasoning.context harmless = "auto"
reasoning.mode avoidable = "standard"
safety_identifier carried or harmless @user
service_tier carried or harmless @service_tier
store avoidable = false
stream carried
stream_options harmless = *
temperature carried or harmless @temperature
text carried
text.format carried or decisive @output
text.format[text].type harmless = *
text.format[json_object].type carried
text.format[json_schema].{name,schema,strict,type} carried
text.format[json_schema].description carried or harmless @output_description
text.verbosity carried or harmless @verbosity
tool_choice carried or decisive @forced_tools
tool_choice[allowed_tools].{mode,tools,type} carried
tool_choice[function|custom].name carried
tool_choice[function|custom].type harmless = *
tool_choice[file_search|web_search_preview|web_search_preview_2025_03_11|code_interpreter] decisive
tool_choice[computer|computer_use|computer_use_preview|image_generation|mcp] decisive
tool_choice[programmatic_tool_calling|apply_patch|shell] decisive
tools carried or decisive @tools
<tools>[function].{name,description,parameters} carried
<tools>[function].strict carried or decisive @strict_tools
<tools>[function].output_schema harmless
<tools>[custom].{name,description} carried
<tools>[custom].format avoidable = {"type":"text"}
<tools>[function|custom].type harmless = *
<tools>[function|custom].async avoidable = false
<tools>[function|custom].allowed_callers avoidable = ["direct"]
<tools>[function|custom].defer_loading harmless = false
<lists>[namespace].{name,tools} carried
<lists>[namespace].description harmless = ""
<lists>[namespace].type harmless = *
<lists>[file_search|code_interpreter|image_generation|mcp|tool_search] avoidable
<lists>[web_search|web_search_2025_08_26|web_search_preview|web_search_preview_2025_03_11] avoidable
<lists>[computer|computer_use_preview|programmatic_tool_calling] avoidable
<lists>[local_shell|shell|apply_patch] avoidable
top_logprobs decisive = 0
top_p carried or harmless @top_p
truncation avoidable = "disabled"
user carried or harmless @user
~routing_preferences harmless = *
~client_metadata harmless = *
~input[custom_tool_call].status harmless = *
~input[message].content[text].text carried
~input[message].content[text].type harmless = *
""".replace("<part>", _PART)
    .replace("<tools>", _TOOLS)
    .replace("<lists>", _LISTS)
)
"""In the order of the alphabet, then what its clients send beside it."""
