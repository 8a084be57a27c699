"""deploy/CLIENTS.md, made from clients.toml, the programs, results.json and what is in ``across``.

``python -m tests.clients.page`` writes it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from tests.clients.across.results import COLUMNS, LOST_COLUMNS, losses_of, row_of
from tests.clients.across.results import read_results as read_crossed
from tests.clients.across.table import REFUSED_FROM
from tests.clients.results import cell_of, pinned_of, read_results, through_of
from tests.clients.table import HERE, Client, read_table
from tests.clients.trial import Compared

PAGE: Final = HERE.parents[1] / "deploy" / "CLIENTS.md"
_LANGUAGES: Final = {".py": "python", ".mjs": "js"}
_SUFFIXES: Final = {"toml": "toml", "json": "json", "yaml": "yaml", "yml": "yaml"}
_HEAD: Final = """\
# Use it with

<!-- `python -m tests.clients.page` writes this page; a test says when it is out of date. -->

What an app, a framework or a coding agent needs to be told, once the sidecar runs on its own machine or in its pod.

- **Address.** `http://127.0.0.1:12000/v1` for what speaks OpenAI's APIs. Anthropic's own SDKs add `/v1` themselves:
  `http://127.0.0.1:12000`. A wrong one is a 404 that says which one is right.
- **Key.** Any text: the sidecar drops it and sends its own. Clients refuse to start without one.
- **Model.** One that the sidecar knows: an entry, an alias, a wildcard (`openai/*`), or any with
  `routing.unknown_model: default`.
- **Session.** Where routes or several accounts are configured, the calls of a session stay with one model. Agents that name their
  session are pinned without being told. All others stand alone, call by call, until they send `x-model-affinity` with an id
  of the conversation, as `pinned` in the examples does; each conversation wants one of its own.

## What was tried

Each client was run at a scripted provider that speaks the real APIs, then unchanged through a sidecar that routes: a whole
response, a streamed one, a loop of a tool, and a session that it was told to name. `make clients` does so again, with these very
versions, and fails where anything is worse than direct. The examples below are the beginnings of the programs that were run.

"""
_ACROSS: Final = f"""
## Agents at models of other APIs

Each of these agents was run for sessions of ten turns before two models that do not speak its API (in one session the first
does), one after the other, each at a scripted provider of its own: in every turn it calls tools, some side by side, writes a file, and in two turns it looks at a picture and
has a call fail. From turn {REFUSED_FROM} on the first model refuses with 503 or 529, and the second one goes on with the session.
The providers take nothing that the real ones would refuse: members and types are those of the SDKs, every result stands behind
its call, and each request must hold all that was said and done before. `cached` is the share of input tokens that each of the two
would have read from its prompt cache, by its maker's rules. "Codex, by scripts" is Codex with a model for which it offers one tool
that runs scripts, by an item of the conversation, as it does for OpenAI's newer models. `make clients` does so again.

"""
_LOST: Final = "\nWhat was left out, as `x-plano-lost` and the access log name it:\n\n"
_COLUMNS: Final = ("client", "version", "API", "directly", "through the sidecar", "pinned")


def page() -> str:
    """Return the whole page."""
    table, results = read_table(), read_results()
    parts = [_HEAD, _overview(table.client, results)]
    for group, clients in groupby(table.client, key=lambda each: each.group):
        parts.append(f"\n## {group}\n")
        parts += [_section(each, results.get(each.name)) for each in clients]
    parts.insert(2, _across())
    return "".join(parts)


def _across() -> str:
    """What came of agents at models that do not speak their API."""
    results = read_crossed()
    rows = [row_of(name, came) for name, came in results.items()]
    return "".join(
        (_ACROSS, _table(COLUMNS, rows), _LOST, _table(LOST_COLUMNS, losses_of(results)))
    )


def _table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)


def _overview(clients: tuple[Client, ...], results: dict[str, Compared]) -> str:
    rows = []
    for each in clients:
        came = results.get(each.name)
        if came is not None:
            api, through = ", ".join(came.dialects), through_of(came)
            row = (_link(each), came.version, api, cell_of(came.direct), through, pinned_of(came))
            rows.append(row)
    return _table(_COLUMNS, rows)


def _link(client: Client) -> str:
    anchor = "".join(c for c in client.name.lower() if c.isalnum() or c in " -").replace(" ", "-")
    return f"[{client.name}](#{anchor})"


def _section(client: Client, came: Compared | None) -> str:
    head = f"\n### {client.name}\n\n"
    if client.untried:
        return head + _prose(client.untried)
    if came is None:
        return f"{head}{_setup(client)}\nNot tried yet.\n"
    parts = [head, _setup(client), "\n", _prose(_tried(client, came)), "\n", _session(client, came)]
    if client.note:
        parts += ["\n", _prose(client.note)]
    return "".join(parts)


def _tried(client: Client, came: Compared) -> str:
    """What was done with which version, and what came of it."""
    packages = ", ".join(f"`{each.partition(':')[2]}`" for each in client.install)
    command = " ".join("'...'" if each == "{prompt}" else each for each in client.run)
    by = f" by `{command}`" if client.run and "{" not in command else ""
    through = through_of(came)
    return (
        f"Tried: {packages}{by}, which speaks {' and '.join(came.dialects)}. Directly: "
        f"{cell_of(came.direct)}. Through the sidecar: {through}."
    )


def _setup(client: Client) -> str:
    if client.program:
        suffix = client.program[client.program.rindex(".") :]
        return _block(_LANGUAGES[suffix], client.example)
    shell = "".join(f"export {name}={value}\n" for name, value in client.env.items())
    shell += "".join(f"{each}\n" for each in client.before)
    parts = [_block("sh", shell)] if shell else []
    parts += [_file(path, text) for path, text in client.files.items()]
    return "\n".join(parts)


def _session(client: Client, came: Compared) -> str:
    names = ", ".join(map(_code, came.session))
    if came.is_pinned:
        return _prose(f"Session: pinned without being told; it sends {names}.")
    sends = f"it sends {names}, which is not taken for one" if names else "it names none"
    if client.unpinned:
        return _prose(f"Session: {sends}. {client.unpinned}")
    if client.program:
        return _prose(f"Session: {sends}, until it is told to as `pinned` is.")
    parts = [_prose(f"Session: {sends}. This names one, for all that it does from then on:"), "\n"]
    if client.pin_env:
        lines = "".join(f"export {name}='{value}'\n" for name, value in client.pin_env.items())
        parts.append(_block("sh", lines))
    parts += [_file(path, text) for path, text in client.pin_files.items()]
    return "".join(parts)


def _prose(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False) + "\n"


def _code(name: str) -> str:
    first, _, rest = name.partition(" ")
    return f"`{first}` {rest}".strip()


def _file(path: str, text: str) -> str:
    language = _SUFFIXES[path.rpartition(".")[2]]
    if language == "json":
        return f"`{path}`:\n\n{_block(language, text)}"
    return _block(language, f"# {path}\n{text}")


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page())
