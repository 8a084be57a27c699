"""Routing: what a requested model stands for, and which model a conversation should go to.

Rule: only `router` and `sources` wait or do I/O; the rest is pure, and knows no session.

The way of a call that is routed:

1. `table` resolves the requested model (alias, entry name, model, bare id, dated id, wildcard) to a
   `Resolved`: the entries that speak the call's dialect, and their fallbacks. `unknown_model` is
   what an app is told whose model is none of these.
2. `preferences.Routes` says which routes are in effect: the config's, or the body's own list.
3. `router.RouteClassifier` asks the router model which of them the conversation belongs to, unless
   it keeps failing (`router_breaker`).
   `prompt` writes the question, `answer` reads what comes back into a `RouterVerdict`.
4. `Routes.ranked` orders the named route's candidates: `rank` by price or by speed, with numbers
   that `sources` fetches and `catalogs` reads.

`owners` says which entry a path goes to that is no call.

Words:

- route: a described kind of work with its models; candidate: one model at one provider entry.
- router model: a small model that is asked which route a conversation belongs to.
- verdict: what asking came to; a fallback is a verdict without the model's opinion.
"""
