"""Selection: which model a call goes to. The one room that knows affinity and routing.

Rule: facts in, a `Step` out. `steps` and `decisions` decide and never wait; `selector` reads, asks,
writes and waits, and decides nothing. `path_selector` decides what is passed through; `explain`
shows a `look` at all this.

The way of a call:

1. `selector.decide_nowait` makes a `situation` of it: model resolved, routes found, session named,
   each once. The pin in the near cache gives the first step, and `pin_plans` the candidates: the
   pinned entry, its model's others, the rest of the route. Most calls end here.
2. `selector.decide` takes the steps that wait: reads the pin from the shared store, asks the router
   model (first calls of a lane that come together ask once), claims or replaces the pin. Before it
   does, `fitting` leaves out who would lose, by translation, what the app relies on.
3. `pin_updater` moves the pin once another candidate has served the call, and drops it if none has.

Words: a *binding* is what the store holds, a *pin* that it holds. A call *claims* a pin that is not
there, *adopts* one that another call has made, *replaces* one that it has seen. A pin is
*provisional* if the router model could not be asked when it was made. A call is *routed* where
routes are in effect; without them the pin holds one of the requested model's entries. *Other* calls
(a count of tokens, one that goes on from a stored response) read a pin and make none.

What a call does first; passing a pin by is counted under the name in the last column:

| pin | routed | not routed | other | counted |
|---|---|---|---|---|
| no session | ask | serve requested | serve requested | - |
| not at hand | read pin | read pin | read pin | - |
| none | ask, claim | serve requested, claim | serve requested | - |
| usable | serve pinned | serve pinned | serve pinned | - |
| provisional, may be replaced | ask, replace | serve requested | serve requested | - |
| on no list of the call | ask | serve requested | serve requested | inline_list |
| speaks another dialect | ask | serve requested | serve requested | dialect |
| unknown model, young | ask | serve requested | serve requested | unknown_model |
| unknown model, old | ask, replace | serve requested, replace | serve requested | - |

What becomes of the pin once the call is decided (own "none": its names cannot be written):

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
