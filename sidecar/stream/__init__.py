"""A response on its way back to the app.

Rule: bytes go on as they come, unchanged and at once, and the response is ended exactly once. A
fragment never looks like the whole: where the provider dies, stalls or babbles, the app gets an
error event in its dialect where one can be read, and a broken connection everywhere else.

Words. To *relay* is to carry one response from a provider to an app. A *tap* looks at the bytes
that went by: for what the response says about itself, and for how a stream may be ended. The *last
event* is the one by which an API says that a stream is over; a connection that ends well is no
proof of it, unless all that the stream brings has ended before. An error event of the provider's
own takes the last event's place: nothing is put behind it.

Flow: `relay.relay_nowait` sends a response that has arrived completely, in one write. Any other is
carried piece by piece by `relay.Relay`, which shows each piece to a tap once it has been sent:
`tap.EventTap` for event streams, which has the events that tell something read by an
`event_reader.EventReader`; `tap.BodyTap` for the rest. The only bytes that do not go on are those
that come of the sidecar's having asked for usage itself: `usage_cut.UsageCut` takes that event out,
which the tap still sees. Both return a `relay.Relayed`: how the way back ended, how many bytes went
out, and what the response said. Only cancellation of the task propagates.

What an event stream looks like is the dialect's to say (`dialects.base.StreamRules`).
"""
