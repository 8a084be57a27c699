from openai import AsyncOpenAI
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion

client = AsyncOpenAI(base_url="http://127.0.0.1:12000/v1", api_key="unused")
service = OpenAIChatCompletion(ai_model_id="gpt-4o-mini", async_client=client)
pinned = client.with_options(default_headers={"x-model-affinity": "conversation-1"})

# What is tried
from semantic_kernel.agents import ChatCompletionAgent
from semantic_kernel.functions import KernelPlugin, kernel_function
from tried import ASK, USE_TOOL, tried
from tried import weather as forecast


class Plugin:
    @kernel_function
    def weather(self, city: str) -> str:
        """Tell the weather of a city."""
        return forecast(city)


@tried
async def plain():
    return str((await ChatCompletionAgent(service=service).get_response(ASK)).content)


@tried
async def streamed():
    agent = ChatCompletionAgent(service=service)
    return [str(each.content) async for each in agent.invoke_stream(ASK) if str(each.content)]


@tried
async def tools():
    plugin = KernelPlugin.from_object("plugin", Plugin())
    agent = ChatCompletionAgent(service=service, plugins=[plugin])
    said = USE_TOOL.replace("call weather", "call plugin-weather")
    return str((await agent.get_response(said)).content)


@tried
async def told_its_session():
    own = OpenAIChatCompletion(ai_model_id="gpt-4o-mini", async_client=pinned)
    return str((await ChatCompletionAgent(service=own).get_response(ASK)).content)
