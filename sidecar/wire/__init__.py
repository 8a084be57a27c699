"""Bytes to facts and back, without a socket: header fields, trace context, JSON members.

Rule of the room, held by tests/architecture/test_listener_and_wire.py: the wire knows no dialect.
It knows header families (which of the app's own headers a provider may see), since providers have
those.

    request_headers   the app's header fields, walked once: lines for providers, facts for us
    client_timeouts   how long the app says that it will wait
    headers           what becomes of a header field, by its name; a request's head for a
                      provider
    response_headers  a provider's response headers for the app
    own_headers       the header lines that the sidecar itself writes to the app
    provider_ids      how a provider names a request of its own
    trace_context     W3C traceparent and tracestate, read and written
    members           the members of a JSON object that are of interest, with their places
    outline           the same for texts of any length, in steps between which others go on
    from_end          elements and members from the last one on, no further than is needed
    places            where array elements and object members stand; a text without some
    content_coding    a compressed body, decoded in steps
    body              peek at a request's body
    form              the model that a form names, in its first bytes
    changes           what of a body is to be written otherwise, as values
    edits             where that stands in a body
    patch             another ``model`` in it, and its edits, without another decode

Words: a *line* is one header field as it is sent, line end included; a *fact* is what is read from
a header; a *group* of lines goes to the same providers.
"""
