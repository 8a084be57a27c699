from agent_framework.openai import OpenAIChatClient

options = {"model": "gpt-4o-mini", "base_url": "http://127.0.0.1:12000/v1", "api_key": "unused"}
client = OpenAIChatClient(**options)
pinned = OpenAIChatClient(default_headers={"x-model-affinity": "conversation-1"}, **options)

# What is tried
from agent_framework import Agent
from tried import ASK, USE_TOOL, tried, weather


@tried
async def plain():
    return (await Agent(client).run(ASK)).text


@tried
async def streamed():
    return [each.text async for each in Agent(client).run(ASK, stream=True) if each.text]


@tried
async def tools():
    return (await Agent(client, tools=[weather]).run(USE_TOOL)).text


@tried
async def told_its_session():
    return (await Agent(pinned).run(ASK)).text
