"""The providers' side of a call: from a decision's candidates to a reply.

Rule: this is the only room that knows provider families at run time, and it knows them by the rows
of `config.conventions`. `failure`, `error_body`, `reasons`, `wording` and its tables, `cooling`,
`evidence`, `walk`, `patience` and `latency` decide and do no I/O; time is passed to them.

In the order in which a call meets them:

- `dispatch` sends the call to the candidates of its plan, one after the other, until one serves it.
  Another candidate is tried only before the first byte has gone to the app.
- `registry` holds a client for each provider entry, and the connection pools that entries share.
- `patches` leaves out what a model is known to refuse that the app did not ask for, by the rows of
  `config.patch_table`, and names the session in a body where the config wants that.
- `translated_call` makes the call that goes to a candidate of another API than the app's, and
  `translated_reply` makes of its response one in the app's, by what `domain.translation` promises.
- `client` writes the request of one attempt and knows the timeouts and the pool of one entry;
  `header_lines` says which header lines it has, `cache_key` what a session is called there.
- `passthrough` says what is sent of a body that is passed through, where its path is at the
  provider, and where a place that the provider names is here.
- `usage_asking` asks for the usage of streams on the app's behalf, and sends a call again without
  that where it is refused for it.
- `opening` holds a response of status 200 until its beginning shows that the provider serves, or
  says in it that it failed.
- `buffered_reply` reads the beginning of an error reply, which the app may still get.
- `error_body` reads what providers say in it; `reasons` names the reason that `wording` recognises
  there, by the tables `error_wordings` and `account_wordings`; `failure` returns what that means
  for the next candidate, for the one that failed, and for the session's pin.
- `walk` says which candidate comes next; `patience` how long an attempt may take for an app that
  says how long it will wait.
- `cooling` orders plans so that candidates which failed lately go last; `evidence` says when
  failures are no single caller's; `latency` keeps how soon each candidate's streams begin, for
  routes that prefer the fastest.
- `credential_reload` reads a refused key again from its file; the call is then tried once more.
- `failure_recorder` records a failed attempt: what it means, what becomes of its candidate, what
  observers are told; `failure_report` puts into words what an operator has to know of it.
- `attempts` holds the values of all this: `Dispatched`, `FailedAttempt`, and the record of a call's
  failures.

Beside calls: `router_client` asks the router model in the sidecar's own name; `fetch` gets price
lists and Prometheus queries.

Words: an attempt is one request to one candidate. A cooldown is the time for which a failed
candidate goes last; an ejection is one of minutes, for what a person has to mend. A call is
retryable, or curable, where the same call may succeed later.
"""
