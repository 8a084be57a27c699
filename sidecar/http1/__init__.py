"""An HTTP/1.1 client for calls that stream: one public door, `Pool.send`.

Rule: this room knows no word of what it carries. It could be published as it is: it imports the
errors that it raises and the mechanisms of `runtime`, and nothing else of the package.

Words: an *upstream* is the server at an `Origin`. An *exchange* is one request and its response. A
*response* is what comes on the wire; whoever gets it holds the connection until its last byte, or
until `abort`. A connection is *kept* once it has carried an exchange, and *stale* if the upstream
closes it before any byte of the next response. Then a request is sent a second time only where it
is *untaken*, that is where the kernel proves that the upstream took none of it, or where its method
is idempotent.

The flow of a request, in the order in which it meets the modules:

    pool            takes an idle connection or opens one; sends again, once, where that is safe
      idle          the connection that was idle last serves next, after a look at it if that was a
                    second or more; each is kept as long as its upstream keeps it
      dialer        name (resolver), proxy (proxy_rules) and its tunnel, TCP raced over all
                    addresses, TLS (origin)
      connection    one exchange at a time, and what its end means
        channel     the bytes out and in, each at the pace of the slower side
        delivery    what the kernel knows of them: acknowledged by the peer, or never sent
        parser      llhttp's callbacks, gathered by a table of states
        deadline    connect, first byte, silence, whole response: one lazy timer for the last three
      cause         why an upstream could not be reached, in words for operators
      certificate   how TLS is spoken, and the dates of a certificate
      reset_watch   finds connections whose reset the loop has missed
    response        the head, then the body as it is read; the reader may be slow, or go away

Errors are those of `domain.errors` whose side is upstream. Each is made where it is raised, so that
no traceback keeps a response alive.
"""
