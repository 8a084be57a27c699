"""Selection: which model a call goes to. The one room that knows affinity and routing.

Rule: facts in, a `Step` out. `steps` and `decisions` decide and never wait; `selector` reads, asks,
writes and waits, and decides nothing.

The way of a call:

1. `selector.decide_nowait` makes a `Situation` of it: model resolved, routes found, session named,
   each once. The pin in the near cache, if there is one, gives the first step. Most calls end here.
2. `selector.decide` takes the steps that wait: reads the pin from the shared store, asks the router
   model (first calls of a lane that come together ask once), claims or replaces the pin.
3. `pin_updater` moves the pin once another candidate has served the call, and drops it if none has.

`explain` shows all this for `plano-sidecar route`, and changes nothing.

Words: a *binding* is what the store holds, a *pin* that it holds. A call *claims* a pin that is not
there, *adopts* one that another call has made, *replaces* one that it has seen. A pin is
*provisional* if the router model could not be asked when it was made. A call may be *routed* unless
it counts tokens or goes on from a response that one provider has stored.

What a call does first; passing a pin by is counted under the name in the last column:

| pin | may be routed | may not | counted |
|---|---|---|---|
| no session | ask | serve requested | - |
| not at hand | read pin | read pin | - |
| none | ask, claim | serve requested | - |
| usable | serve pinned | serve pinned | - |
| provisional, may be replaced | ask, replace | serve requested | - |
| not on the call's own list | ask | serve requested | inline_list |
| speaks another dialect | ask | serve requested | dialect |
| unknown model, young | ask | serve requested | unknown_model |
| unknown model, old | ask, replace | serve requested | - |

What becomes of the pin once the router model was asked (own "none": its names cannot be written):

| own pin | pin seen before | step |
|---|---|---|
| none | none | serve own |
| none | provisional | serve own |
| none | firm | serve own |
| provisional | none | claim |
| provisional | provisional | adopt |
| provisional | firm | replace |
| firm | none | claim |
| firm | provisional | replace |
| firm | firm | replace |

And after the claim, or the replacement, which may not be tried twice:

| pin that stands | may be replaced | step |
|---|---|---|
| own | no | serve own |
| own | yes | serve own |
| another's, provisional | no | adopt |
| another's, provisional | yes | replace |
| another's, firm | no | adopt |
| another's, firm | yes | adopt |
"""
