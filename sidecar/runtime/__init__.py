"""Mechanisms that any asyncio service could use.

Rule: no word of this product's domain. There is one single flight, one bounded map and one breaker
in the package; every room that needs one uses it with a policy of its own.

    lifecycle         the readiness latch, permits for calls in flight, the drain at the end, tasks
                      that have an owner, and the fastest event loop installed
    shutdown          one drain, whatever asks for it, and the wish that the process ends
    single_flight     one piece of work per key, shared by all callers that ask meanwhile
    cgroup            how much memory the process may take
    memory_budget     bytes that several purposes divide, each with a share that it keeps
    bounded           a dict that stays small, for caches whose keys come from outside
    breaker           when to leave something alone that keeps failing, and when to probe it
    timers            timers that tell another side's silence from a loop that stood still
    write_coalescer   writes of one turn of the loop, sent together at its end
    daemon_thread     blocking work that the end of the process does not wait for
    file_watch        reading files that others replace, and noticing that they have
    tls_files         a TLS context that follows its files
    yaml_composer     PyYAML's composer with bounds, for text that comes from outside
    descriptors       how file descriptors are divided among listeners
    hosts             hosts and ports as URLs and messages spell them
    installation      whether the package is compiled

Time is passed in where a rule depends on it. What owns tasks or futures has an `aclose` or a drain,
and nothing runs on behind it.
"""
