from langchain_anthropic import ChatAnthropic

model = ChatAnthropic(model="claude-sonnet-5", base_url="http://127.0.0.1:12000", api_key="unused")
pinned = model.bind(extra_headers={"x-model-affinity": "conversation-1"})

# What is tried
from langchain.agents import create_agent
from tried import ASK, USE_TOOL, tried, weather


@tried
def plain():
    reply = model.invoke(ASK)
    return [reply.text, reply.usage_metadata["total_tokens"]]


@tried
def streamed():
    return [each.text for each in model.stream(ASK) if each.text]


@tried
def tools():
    turns = create_agent(model, [weather]).invoke({"messages": [("user", USE_TOOL)]})["messages"]
    return [turns[-1].text, len(turns)]


@tried
def told_its_session():
    return pinned.invoke(ASK).text
