from crewai import LLM

options = {
    "model": "openai/gpt-4o-mini",
    "base_url": "http://127.0.0.1:12000/v1",
    "api_key": "unused",
}
llm = LLM(**options)
pinned = LLM(default_headers={"x-model-affinity": "conversation-1"}, **options)

# What is tried
from crewai import Agent
from crewai.tools import tool
from tried import ASK, FORECAST, USE_TOOL, tried


@tool("weather")
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"{FORECAST} in {city}"


@tried
def plain():
    return llm.call(ASK)


@tried
def streamed():
    return LLM(stream=True, **options).call(ASK)


@tried
def tools():
    agent = Agent(role="helper", goal="help", backstory="helpful", llm=llm, tools=[weather])
    return agent.kickoff(USE_TOOL).raw


@tried
def told_its_session():
    return pinned.call(ASK)
