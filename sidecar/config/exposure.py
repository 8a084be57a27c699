"""What a config gives away: to whoever reads the file, to the network, to other pods. These are
warnings, since some pods mean it so; a key that is a variable's name in another tool's spelling is
a problem, since every call would be refused. Pure.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from typing import Final

from sidecar.config.address import names_credential
from sidecar.config.conventions import family_of
from sidecar.config.families import FAMILIES
from sidecar.config.report import Path, Report
from sidecar.config.schema import Config
from sidecar.config.schema_listeners import OF_THE_HOST
from sidecar.config.schema_providers import ModelProvider
from sidecar.config.secret import is_no_secret
from sidecar.runtime.hosts import is_loopback

_NAME: Final = r"['\"]?([A-Za-z_][A-Za-z0-9_]{0,63})['\"]?"
_MEANT_AS_VARIABLE: Final = (
    re.compile(rf"os\.environ(?:/|\.|\[|\.get\(){_NAME}[\])]?"),  # LiteLLM
    re.compile(rf"os\.getenv\({_NAME}\)"),
    re.compile(rf"(?:process\.)?env(?:\.|:|/|\[){_NAME}\]?"),  # Bifrost, JavaScript
    re.compile(rf"\{{env:{_NAME}\}}"),  # opencode
    re.compile(r"\{\{[^}]{0,99}?\b([A-Z][A-Z0-9_]{2,63})\b[^}]{0,99}\}\}"),  # Jinja, Go templates
    re.compile(rf"\{{\{{[^}}]{{0,99}}?{_NAME}\W{{0,9}}\}}\}}"),
    re.compile(rf"%{_NAME}%"),
)
"""How other tools spell a variable's name; nobody's key looks like that."""
_BARE_NAME: Final = re.compile(
    r"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_(?:API_)?(?:KEY|TOKEN|SECRET|PASSWORD))"
)
"""A variable's name, as it seems; it may be what was chosen for a server of one's own."""
_PLACEHOLDER: Final = re.compile(
    r"<.*>|\[.*\]|(?:(?:sk|gsk|key|ant)-)*(?:\.{3,}|…|x{3,}|\*{3,})"
    r"|(?:sk[-_ ])?(?:your|my)[-_ ].*|(?:change|replace)[-_ ]?me|todo|fixme",
    re.IGNORECASE | re.DOTALL,
)
_KEY_CHARS_AT_LEAST: Final = 8
"""No provider gives a shorter key."""
_IN_CLEAR: Final = "goes over the network in the clear"


def warn_of_exposure(config: Config, report: Report) -> None:
    """Report what lets others read, or use, what the config holds. No value is quoted."""
    for at, listener in report.entries(("listeners",), config.listeners):
        if not all(map(is_loopback, listener.addresses)):
            report.warn(
                (*at, "address"),
                "is beyond loopback: whoever reaches it from the network calls with the keys of "
                "this config. The containers of a pod reach 127.0.0.1, the default",
            )
    for at, entry in report.entries(("model_providers",), config.model_providers):
        _warn_of_entry(entry, at, report)
    _warn_of_redis(config, report)
    for path, url in _urls(config, report):
        if _password_of(url):
            _warn_of_inline(path, _password_of(url), report)
            if not _is_safe(url):
                report.warn(path, f"its password {_IN_CLEAR}: use https://")


def _warn_of_entry(entry: ModelProvider, at: Path, report: Report) -> None:
    is_here = entry.base_url is not None and _is_near(_host_of(entry.base_url))
    credentials = {
        (*at, "headers", name): value.reveal()
        for name, value in entry.headers.items()
        if names_credential(name)
    }
    if entry.access_key is not None and not entry.passthrough_auth:
        credentials[*at, "access_key"] = entry.access_key.reveal()
    for path, text in credentials.items():
        if not is_here:
            _warn_of_inline(path, text, report, _variable_of(entry))
    is_secret = entry.passthrough_auth or any(map(_is_key, credentials.values()))
    if is_secret and entry.base_url is not None and not _is_safe(entry.base_url):
        key = "the caller's key" if entry.passthrough_auth else "the key"
        report.warn((*at, "base_url"), f"{key} {_IN_CLEAR}: use https://, unless a mesh encrypts")


def _warn_of_redis(config: Config, report: Report) -> None:
    cache, here = config.routing.session_cache, ("routing", "session_cache")
    url = "" if cache.url is None else cache.url.reveal()
    own = "" if cache.password is None else cache.password.reveal()
    _warn_of_inline((*here, "password"), own, report)
    _warn_of_inline((*here, "url"), _password_of(url), report)
    password = own or _password_of(url)
    if password and not is_no_secret(password) and not _is_safe(url):
        report.warn((*here, "url"), f"the password {_IN_CLEAR}: use rediss://")


def _urls(config: Config, report: Report) -> Iterator[tuple[Path, str]]:
    """Yield each URL that may hold a user and a password, with its path."""
    sources = report.entries(("model_metrics_sources",), config.model_metrics_sources)
    for at, source in sources:
        yield (*at, "url"), source.url or ""
    yield ("tracing", "otlp_endpoint"), config.tracing.otlp_endpoint or ""


def _warn_of_inline(path: Path, text: str, report: Report, variable: str | None = None) -> None:
    """Report a credential that stands in the file, or the name of one that was never looked up.

    Args: ``variable`` is where a provider's key is kept usually; None for a password.
    """
    if report.is_from_outside(path) or is_no_secret(text):
        return
    named = next((found for each in _MEANT_AS_VARIABLE if (found := each.fullmatch(text))), None)
    if named is not None and variable is not None:
        name = f"${named[1]}"
        report.problem(path, f"is the name of a variable in another tool's spelling: write {name}")
        return
    named = named or _BARE_NAME.fullmatch(text)
    what = None
    if _PLACEHOLDER.fullmatch(text) is not None:
        what = f"is sent as it stands, and looks like a placeholder: write ${variable or 'VAR'}"
    elif named is not None:
        what = f"is sent as it stands, and looks like the name of a variable: write ${named[1]}"
    elif variable is None or len(text) >= _KEY_CHARS_AT_LEAST:
        what = "stands in the file, for all who may read that: write $VAR or ${file:/path}"
    if what is not None:
        report.warn(path, what)


def _variable_of(entry: ModelProvider) -> str:
    family = FAMILIES.get(family_of(entry.model))
    return (family and family.key_variable) or "API_KEY"


def _is_key(text: str) -> bool:
    return len(text) >= _KEY_CHARS_AT_LEAST and not is_no_secret(text)


def _is_safe(url: str) -> bool:
    """Return whether nobody beside this machine reads what goes there."""
    is_plain = url.lower().startswith(("http://", "redis://", "redis+"))
    return not is_plain or _is_near(_host_of(url))


def _is_near(host: str) -> bool:
    return is_loopback(host) or host in OF_THE_HOST


def _host_of(url: str) -> str:
    """Return a URL's host in lower case; empty where it has none that can be read."""
    try:
        return urllib.parse.urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _password_of(url: str) -> str:
    """Return the password that a URL holds; empty where it holds none that can be read."""
    try:
        return urllib.parse.urlsplit(url).password or ""
    except ValueError:
        return ""
