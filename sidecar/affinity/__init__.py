"""Affinity: a session stays with its model, on every pod.

Rules: a session's pins stand under one key, made once per call (`session`); nothing asks which
store it is (`store` is the port). No call fails because of a store, or waits longer than its
budget.

The way of a call:

1. `session.session_of` names the session: tenant, session id, agent, lane, and the key.
2. `AffinityStore.get_nowait` looks into the `near_cache`: most calls end here.
3. `read` asks the shared store, `claim` makes a pin, `replace` moves it, `release` drops it, each
   within the call's `call_budget`. `policy` says whether and how a pin steers.

A session's pins are one value, `lanes`: every change is a pure function of what stands, made here
first, and written by one step, compare-and-set; where another has changed the value meanwhile,
`lanes.merge` makes the change again on what stands then. `value` says how lanes are written.

`memory` keeps pins in this process, `redis` shares them. Operators see both as a `PinBrowser`.

Words:

- binding, pin: what the store holds for a lane of a session; that it holds.
- lane: the requested model within a session; agents make side calls under the same session id.
- first lane: the one whose pin stands where plano reads and writes it.
- claim, adopt, replace, release, refresh: make a pin unless one stands; take the one that stands;
  put another in its place if it still is the one that was seen; drop it likewise; begin the
  session's time to live anew.
- home, away: the model that a session left when that failed; being served elsewhere meanwhile.
- provisional: made while the router model could not be asked.
- near cache, `entry`: what is known of sessions; one of them, in a state of a table.
- shadow, dirty: what was changed while Redis was gone, and is still to be written back.
- verified: read over the connection that is tracking now.
"""
