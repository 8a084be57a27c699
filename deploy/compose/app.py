"""An app that calls its sidecar on localhost every few seconds and prints who answered."""

import json
import time
import urllib.request

BODY = json.dumps(
    {"model": "fast", "messages": [{"role": "user", "content": "Say hello."}]}
).encode()
HEADERS = {"content-type": "application/json", "x-model-affinity": "compose"}

while True:
    request = urllib.request.Request(
        "http://127.0.0.1:12000/v1/chat/completions", data=BODY, headers=HEADERS
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = json.load(answer)["choices"][0]["message"]["content"]
            print(
                answer.headers["x-plano-model"],
                f"({answer.headers['x-plano-source']}) says",
                text,
                flush=True,
            )
    except OSError as error:
        print("no answer:", error, flush=True)
    time.sleep(5)
