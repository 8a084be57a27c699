"""The app's side: the data port on localhost, and every reply to the app; the operators' side.

Rules of the room, held by tests/architecture/test_listener_and_wire.py: `rescue` alone turns errors
into replies; private names of aiohttp stand in `connection` alone, which a test guards.

A request meets the modules in this order:

    server            binds the ports and makes a connection for each app that connects
      acceptor          accepts, also where there is no file descriptor left
    connection        aiohttp parses, our own loop serves one request after the other
      plain_connection  the same on aiohttp's own loop, where aiohttp lacks what ours relies on
      kept_connections  how long, and how many, connections wait for a request
    request           a request as the handler sees it
    handlers          one reply for every request, whatever goes wrong
    paths             which call a path means, and which methods it takes
      wrong_paths       what an app is told whose path is not served
    admission         checks the head, holds the permit, makes the `Call`
      web_pages         what pages in a browser may not do, by their Host and their site
      body_reader       reads the body within its limits of size and time
      upload            a long body of a passthrough path, sent on while it arrives
      body_memory       the memory that all bodies may take together
      body_queue        which of the bodies that arrive gets room first
    sidecar.proxy     carries the call
    own_replies       probes, the list of models, decisions: requests that are no calls
    rescue            any error: a reply in the caller's dialect, or a broken connection
    response_writer   heads and chunks as bytes on the transport
      cors              what a browser wants to read before a page of an allowed origin may go on

The other two listeners are `page_server`s, aiohttp's own server with bounds on what a peer may
hold: `admin` serves probes and metrics to any peer, `operators` a table of pages to callers inside
the pod (`operators_socket` binds it, `page_replies` are what pages say, `page_room` is which of
the peers may stay, `pins_page` is two of them).

`live_page` serves the page that shows all of it (pages/index.html), and the numbers that it polls.

Words: *admission* is the moment at which a call takes its permit; *permit*: the right to be in
flight, held by the task that carries the call until its stream has ended; *head*: request line and
header fields; *refusal*: a reply that tells an error of the sidecar's own; *probe*: an agent's
question whether its gateway is there.

README.md is the reference of paths, headers and errors.
"""
