"""A simulator of model providers, with accounts that remember what a real one remembers.

It speaks messages, chat and responses on real sockets, streamed and whole, with tool calls, and
enforces per model and account what real providers enforce: signatures of thinking blocks, encrypted
reasoning, response ids, prompt caches with their prices, throttles, and which parameter limits the
output. Which request fails at random depends on the seed and on the request alone, never on the
order in which requests arrive.
"""
