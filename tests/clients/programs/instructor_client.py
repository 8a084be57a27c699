import instructor
from openai import OpenAI

client = instructor.from_openai(OpenAI(base_url="http://127.0.0.1:12000/v1", api_key="unused"))
pinned = {"x-model-affinity": "conversation-1"}  # create(..., extra_headers=pinned)

# What is tried
from pydantic import BaseModel
from tried import ASK, tried


class Forecast(BaseModel):
    city: str
    degrees: int


OPTIONS = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": ASK}]}


@tried
def plain():
    return client.chat.completions.create(response_model=Forecast, **OPTIONS).model_dump()


@tried
def streamed():
    parts = client.chat.completions.create_partial(response_model=Forecast, **OPTIONS)
    return [each.model_dump() for each in parts]


@tried
def told_its_session():
    create = client.chat.completions.create
    return create(response_model=Forecast, extra_headers=pinned, **OPTIONS).model_dump()
