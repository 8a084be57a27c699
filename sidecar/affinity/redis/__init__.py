"""Pins in Redis: the only room that imports redis. Private names of redis-py stand in `connect`.

`store` is the door: it implements `AffinityStore` for calls, and what it needs is built in one
direction:

    near cache <- health <- link <- queries <- write_back <- store

- `link` keeps one RESP3 connection alive: commands of one loop turn leave together, replies and
  invalidations arrive in order. `pipeline` is what was sent together, `connect` makes connections,
  with what `login` finds in the files of user and password then; `errors` says what an error reply
  means.
- `health` decides whether Redis is asked at all, how long a server without writes is kept, and
  logs when that changes.
- `queries` reads and writes sessions, and keeps in the near cache what is replied. `scripts` are
  what must be one step on the server: compare-and-set, by which all is written, and refresh.
- `write_back` writes what was changed while Redis was gone.
- `browse` shows pins to operators.
"""
