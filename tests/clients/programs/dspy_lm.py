import dspy

options = {
    "model": "openai/gpt-4o-mini",
    "api_base": "http://127.0.0.1:12000/v1",
    "api_key": "unused",
}
dspy.configure(lm=dspy.LM(**options))
pinned = dspy.LM(
    extra_headers={"x-model-affinity": "conversation-1"}, **options
)  # dspy.context(lm=pinned)

# What is tried
from tried import ASK, tried

dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
predict = dspy.Predict("question -> answer")


@tried
def plain():
    return predict(question=ASK).answer


@tried
async def streamed():
    listener = dspy.streaming.StreamListener(signature_field_name="answer")
    pieces = dspy.streamify(predict, stream_listeners=[listener])(question=ASK)
    return [each.chunk async for each in pieces if isinstance(each, dspy.streaming.StreamResponse)]


@tried
def told_its_session():
    with dspy.context(lm=pinned):
        return predict(question=ASK).answer
