from smolagents import OpenAIServerModel

options = {"model_id": "gpt-4o-mini", "api_base": "http://127.0.0.1:12000/v1", "api_key": "unused"}
model = OpenAIServerModel(**options)
headers = {"default_headers": {"x-model-affinity": "conversation-1"}}
pinned = OpenAIServerModel(client_kwargs=headers, **options)

# What is tried
from smolagents import ChatMessage, ToolCallingAgent, tool
from tried import ASK, FORECAST, USE_TOOL, tried

TURNS = [ChatMessage(role="user", content=ASK)]


@tool
def weather(city: str) -> str:
    """Tell the weather of a city.

    Args:
        city: its name
    """
    return f"{FORECAST} in {city}"


@tried
def plain():
    return model.generate(TURNS).content


@tried
def streamed():
    return [each.content for each in model.generate_stream(TURNS) if each.content]


@tried
def tools():
    agent = ToolCallingAgent(tools=[weather], model=model, verbosity_level=0)
    return agent.run(USE_TOOL + ' [[call final_answer {"answer": "$RESULT"}]]')


@tried
def told_its_session():
    return pinned.generate(TURNS).content
