from google.adk.models.lite_llm import LiteLlm

options = {
    "model": "openai/gpt-4o-mini",
    "api_base": "http://127.0.0.1:12000/v1",
    "api_key": "unused",
}
model = LiteLlm(**options)
pinned = LiteLlm(extra_headers={"x-model-affinity": "conversation-1"}, **options)

# What is tried
from google.adk.agents import LlmAgent
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.adk.runners import InMemoryRunner
from google.genai import types
from tried import ASK, USE_TOOL, tried, weather


async def _run(text, llm=model, mode=StreamingMode.NONE):
    runner = InMemoryRunner(LlmAgent(name="helper", model=llm, tools=[weather]), app_name="app")
    session = await runner.session_service.create_session(app_name="app", user_id="u")
    said = types.Content(role="user", parts=[types.Part(text=text)])
    where = {"user_id": "u", "session_id": session.id}
    events = runner.run_async(**where, new_message=said, run_config=RunConfig(streaming_mode=mode))
    parts = [part async for each in events if each.content for part in each.content.parts]
    return [part.text for part in parts if part.text]


@tried
async def plain():
    return await _run(ASK)


@tried
async def streamed():
    return await _run(ASK, mode=StreamingMode.SSE)


@tried
async def tools():
    return await _run(USE_TOOL)


@tried
async def told_its_session():
    return await _run(ASK, pinned)
