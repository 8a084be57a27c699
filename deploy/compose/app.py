"""An app that calls its sidecar on localhost twice a second and prints who answered."""

import itertools
import json
import time
import urllib.request

SIDECAR = "http://127.0.0.1:12000"
ASKED = (
    "Write a function that sorts a list",
    "Summarize these notes: ship it on Monday",
    "Translate this text into another language",
    "Say hello",
)


def call(number: int) -> str:
    """Make one call; return who answered it. Four sessions run at a time, each for five calls.
    Those of the other app have the same names, and so the same pins.
    """
    session = number // 20 * 4 + number % 4
    text = ASKED[session % len(ASKED)]
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 256}
    if session % 4 == 1:
        path, body["model"] = "/v1/messages", "claude-sonnet-5"
    else:
        path, body["model"] = "/v1/chat/completions", "fast"
    headers = {"content-type": "application/json", "x-model-affinity": f"compose-{session}"}
    request = urllib.request.Request(SIDECAR + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        said = answer.headers
        answer.read()
    return f"{said['x-plano-model']} ({said['x-plano-source']}): {text}"


for number in itertools.count():
    try:
        print(call(number), flush=True)
    except OSError as error:
        print("no answer:", error, flush=True)
    time.sleep(0.5)
