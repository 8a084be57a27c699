from agno.agent import Agent
from agno.models.openai import OpenAIChat

options = {"id": "gpt-4o-mini", "base_url": "http://127.0.0.1:12000/v1", "api_key": "unused"}
agent = Agent(model=OpenAIChat(**options), telemetry=False)
pinned = OpenAIChat(default_headers={"x-model-affinity": "conversation-1"}, **options)

# What is tried
from tried import ASK, USE_TOOL, tried, weather


@tried
def plain():
    return agent.run(ASK).content


@tried
def streamed():
    return [each.content for each in agent.run(ASK, stream=True) if each.content]


@tried
def tools():
    return (
        Agent(model=OpenAIChat(**options), tools=[weather], telemetry=False).run(USE_TOOL).content
    )


@tried
def told_its_session():
    return Agent(model=pinned, telemetry=False).run(ASK).content
