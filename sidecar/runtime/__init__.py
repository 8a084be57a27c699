"""Mechanisms that any asyncio service could use.

Rule: no word of this product's domain. There is one single flight, one bounded map and one breaker,
and whoever needs such a thing uses the one that is here.

    lifecycle         the readiness latch, permits for calls in flight, the drain at the end, tasks
                      that have an owner, and the fastest event loop installed
    single_flight     one piece of work per key, shared by everybody who asks meanwhile
    bounded           a dict that stays small, for memories whose keys other people choose
    breaker           when something that keeps failing is left alone, and when it is probed
    write_coalescer   writes of one turn of the loop, sent together at its end

Time is passed in where a rule depends on it. What owns tasks or futures has an `aclose` or a drain,
and nothing runs on behind it.
"""
