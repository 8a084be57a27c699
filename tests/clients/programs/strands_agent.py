from strands import Agent
from strands.models.openai import OpenAIModel

options = {"base_url": "http://127.0.0.1:12000/v1", "api_key": "unused"}
model = OpenAIModel(client_args=options, model_id="gpt-4o-mini")
headers = {"default_headers": {"x-model-affinity": "conversation-1"}}
pinned = OpenAIModel(client_args=options | headers, model_id="gpt-4o-mini")

# What is tried
from strands import tool
from tried import ASK, USE_TOOL, tried, weather


@tried
def plain():
    return str(Agent(model, callback_handler=None)(ASK)).strip()


@tried
async def streamed():
    agent = Agent(model, callback_handler=None)
    return [each["data"] async for each in agent.stream_async(ASK) if "data" in each]


@tried
def tools():
    return str(Agent(model, tools=[tool(weather)], callback_handler=None)(USE_TOOL)).strip()


@tried
def told_its_session():
    return str(Agent(pinned, callback_handler=None)(ASK)).strip()
