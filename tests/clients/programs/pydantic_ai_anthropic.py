from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

provider = AnthropicProvider(base_url="http://127.0.0.1:12000", api_key="unused")
agent = Agent(AnthropicModel("claude-sonnet-5", provider=provider))
pinned = {
    "extra_headers": {"x-model-affinity": "conversation-1"}
}  # agent.run(..., model_settings=pinned)

# What is tried
from tried import ASK, USE_TOOL, tried, weather

agent.tool_plain(weather)


@tried
def plain():
    return agent.run_sync(ASK).output


@tried
async def streamed():
    async with agent.run_stream(ASK) as run:
        return [each async for each in run.stream_text(delta=True, debounce_by=None)]


@tried
def tools():
    run = agent.run_sync(USE_TOOL)
    return [run.output, len(run.all_messages())]


@tried
def told_its_session():
    return agent.run_sync(ASK, model_settings=pinned).output
