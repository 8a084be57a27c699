from agents import Agent, ModelSettings, Runner, set_default_openai_client, set_tracing_disabled
from openai import AsyncOpenAI

set_tracing_disabled(True)  # or its spans go to api.openai.com
set_default_openai_client(AsyncOpenAI(base_url="http://127.0.0.1:12000/v1", api_key="unused"))
pinned = ModelSettings(extra_headers={"x-model-affinity": "conversation-1"})  # of an Agent

# What is tried
from agents import function_tool
from tried import ASK, USE_TOOL, tried, weather

agent = Agent("helper", model="gpt-4o-mini", tools=[function_tool(weather)])


@tried
async def plain():
    return (await Runner.run(agent, ASK)).final_output


@tried
async def streamed():
    run = Runner.run_streamed(agent, ASK)
    events = [each.data async for each in run.stream_events() if each.type == "raw_response_event"]
    return [each.delta for each in events if each.type == "response.output_text.delta"]


@tried
async def tools():
    run = await Runner.run(agent, USE_TOOL)
    return [run.final_output, len(run.to_input_list())]


@tried
async def told_its_session():
    return (await Runner.run(agent.clone(model_settings=pinned), ASK)).final_output
