from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.utils import Secret

options = {"api_base_url": "http://127.0.0.1:12000/v1", "api_key": Secret.from_token("unused")}
generator = OpenAIChatGenerator(model="gpt-4o-mini", **options)
pinned = {
    "extra_headers": {"x-model-affinity": "conversation-1"}
}  # run(..., generation_kwargs=pinned)

# What is tried
from haystack.components.agents import Agent
from haystack.dataclasses import ChatMessage
from haystack.tools import create_tool_from_function
from tried import ASK, USE_TOOL, tried, weather

TURNS = [ChatMessage.from_user(ASK)]


@tried
def plain():
    return generator.run(TURNS)["replies"][0].text


@tried
def streamed():
    pieces = []
    generator.run(TURNS, streaming_callback=lambda piece: pieces.append(piece.content))
    return pieces


@tried
def tools():
    agent = Agent(chat_generator=generator, tools=[create_tool_from_function(weather)])
    run = agent.run([ChatMessage.from_user(USE_TOOL)])
    return run["messages"][-1].text


@tried
def told_its_session():
    return generator.run(TURNS, generation_kwargs=pinned)["replies"][0].text
