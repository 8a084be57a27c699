from llama_index.llms.openai_like import OpenAILike

options = {"model": "gpt-4o-mini", "api_base": "http://127.0.0.1:12000/v1", "api_key": "unused"}
llm = OpenAILike(is_chat_model=True, is_function_calling_model=True, **options)
pinned = OpenAILike(
    is_chat_model=True, default_headers={"x-model-affinity": "conversation-1"}, **options
)

# What is tried
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from tried import ASK, USE_TOOL, tried, weather


@tried
def plain():
    return llm.chat([ChatMessage(content=ASK)]).message.content


@tried
def streamed():
    return [each.delta for each in llm.stream_chat([ChatMessage(content=ASK)]) if each.delta]


@tried
async def tools():
    return str(await FunctionAgent(tools=[weather], llm=llm).run(USE_TOOL))


@tried
def told_its_session():
    return pinned.chat([ChatMessage(content=ASK)]).message.content
