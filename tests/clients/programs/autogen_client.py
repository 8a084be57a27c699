from autogen_ext.models.openai import OpenAIChatCompletionClient

options = {"model": "gpt-4o-mini", "base_url": "http://127.0.0.1:12000/v1", "api_key": "unused"}
client = OpenAIChatCompletionClient(**options)
headers = {"x-model-affinity": "conversation-1"}
pinned = OpenAIChatCompletionClient(default_headers=headers, **options)

# What is tried
from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import UserMessage
from tried import ASK, USE_TOOL, tried, weather

TURNS = [UserMessage(content=ASK, source="user")]


@tried
async def plain():
    return (await client.create(TURNS)).content


@tried
async def streamed():
    return [each async for each in client.create_stream(TURNS) if isinstance(each, str)]


@tried
async def tools():
    agent = AssistantAgent("helper", client, tools=[weather], reflect_on_tool_use=True)
    run = await agent.run(task=USE_TOOL)
    return [run.messages[-1].content, len(run.messages)]


@tried
async def told_its_session():
    return (await pinned.create(TURNS)).content
