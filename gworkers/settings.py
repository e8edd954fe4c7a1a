"""gworkers' own settings: what they are, and how they are read.

Later layers win: the defaults below, then ``GWORKERS_<NAME>`` environment variables, then
``GeventWorker.configure(name=value)``. Gunicorn ignores names that it does not know; gworkers
refuses them, because a misspelt limit that silently stays at its default is found in an outage.
"""

from __future__ import annotations

import difflib
import re
import reprlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Annotated, Any, Literal, Optional, cast, get_args, get_origin, get_type_hints

from gunicorn.config import KNOWN_SETTINGS

from gworkers.error_text import describe
from gworkers.errors import SettingsError
from gworkers.findings import invalid_setting

PREFIX = "GWORKERS_"

#: The names of Gunicorn's own settings.
GUNICORNS = frozenset(known.name for known in KNOWN_SETTINGS)

Seconds = Annotated[float, "a number of seconds, 0 or more (0: no limit)"]
Bytes = Annotated[int, "a whole number of bytes, 0 or more"]
Path = Annotated[Optional[str], "a path"]
Names = Annotated[tuple[str, ...], "names, separated by commas or in a list"]
Hook = Annotated[object, "a function, or where to import one from: 'package.module:function'"]


@dataclass(frozen=True)
class Settings:
    """The settings of one worker class. Build it with `resolve`, which checks what it is given.

    How long a connection may stay idle between two requests is Gunicorn's own ``keepalive``.
    """

    request_greenlets: Literal["reused", "fresh"] = "reused"
    """``reused``: a greenlet serves one request after the other, so thread-locals live on as in a
    thread pool and what is kept in them (database connections) is used again. ``fresh``: each
    request gets a new greenlet, so thread-locals are isolated too, for 10 to 16 us per request on
    CPython 3.11 and newer. Context variables are isolated either way."""

    handshake_timeout: Seconds = 10.0
    """Seconds for a TLS handshake, from the accepted connection to the established session."""

    head_timeout: Seconds = 30.0
    """Seconds for a whole request head, from its first byte to the empty line. A connection that sends
    nothing is closed after as long, or earlier if there is no room for another one. A late head is
    answered with 408 (RFC 9110 section 15.5.9). The trailer section
    of a chunked body, from the last chunk to the empty line, has as long."""

    body_timeout: Seconds = 60.0
    """Seconds that the application waits for more bytes of a request body, in each read."""

    write_timeout: Seconds = 60.0
    """Seconds without progress of a response: the client takes no byte of it."""

    linger_timeout: Seconds = 2.0
    """Seconds to read on, and throw away, after a connection was closed because of an error, so
    that a reset does not destroy the answer before the client has read it (RFC 9112, 9.6)."""

    drain_keepalive: Seconds = 2.0
    """Seconds that an idle connection stays open, at most, while its worker drains: a last request on it
    is answered, with ``Connection: close``."""

    drain_delay: Seconds = 0.0
    """Seconds between the signal to stop and the closing of the listener, in which all goes on as before: for
    load balancers that notice late. They count to ``graceful_timeout``. Not in a reload."""

    readiness_file: Path = None
    """A file that is there while the server is ready, and gone before it stops; it holds the master's process id."""

    boot_timeout: Seconds = 300.0
    """Seconds that a worker may take until it serves. Gunicorn's ``timeout`` only counts from then on."""

    max_rss: Bytes = 0
    """Bytes of memory (resident set) at which a worker asks for a successor, looked at once a second. 0: never."""

    max_rss_jitter: Bytes = 0
    """Up to so many bytes more, chosen at random, so that not all workers ask at the same time."""

    discard_body_limit: Bytes = 65536
    """Bytes of a request body which the application left unread that are read and thrown away to
    keep the connection. What is longer closes it; with 0 every unread body does."""

    time_slice: Seconds = 0.01
    """Seconds that a handler which streams to a fast reader may run before it must let the other
    connections, and the heartbeat, have their turn; also for how long handlers that wait for nothing
    are called one after the other. With 0 neither is ever interrupted."""

    patch: Names = ("all",)
    """Which parts of the standard library the hub's library patches: ``all``, or some of ``PARTS``
    in :mod:`gworkers.hubs`, or none at all."""

    post_patch: Hook = None
    """Called after patching and before the application is loaded, with the worker if it has a parameter
    called ``worker``, a positional one without a default, or ``*args``: the place for what makes a library
    cooperative, such as ``grpc.experimental.gevent:init_gevent``."""

    psycopg2: Literal["report", "wait"] = "report"
    """What to do about psycopg2, which blocks the hub by itself. ``wait``: let it wait on the hub."""

    silence: Names = ()
    """Codes of findings that are not to be logged; docs/checks.md has them all. What stops a worker does so anyway."""

    @classmethod
    def resolve(cls, overrides: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
        """The defaults, changed by ``GWORKERS_*`` in `environ`, changed by `overrides`.

        Raises SettingsError, one line, for a name that is no setting and for a value that the
        setting does not allow.
        """
        return cls(**{name: value for name, (value, _) in cls._given(overrides, environ).items()})

    @classmethod
    def origins(cls, overrides: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, str]:
        """Where `resolve` takes each setting from: ``default``, an environment variable or ``configure()``.

        Raises SettingsError as `resolve` does.
        """
        given = cls._given(overrides, environ)
        return {field.name: given[field.name][1] if field.name in given else "default" for field in fields(cls)}

    @classmethod
    def _given(cls, overrides: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
        """What is not left at its default, by name, with where it comes from."""
        kinds = get_type_hints(cls, include_extras=True)
        variables = {PREFIX + name.upper(): name for name in kinds}
        given: dict[str, tuple[Any, str]] = {}
        for variable in sorted(environ):
            if variable.startswith(PREFIX) and not is_kubernetes_variable(variable, environ):
                name = _known(variable, variables, "the environment")
                origin = f"environment variable {variable}"
                given[name] = _checked(name, kinds[name], _numeral(kinds[name], environ[variable]), origin), origin
        for name in sorted(overrides):
            _known(name, {known: known for known in kinds}, "configure()")
            given[name] = _checked(name, kinds[name], overrides[name], "configure()"), "configure()"
        return given


_SERVICE_LINK = re.compile(
    rf"({PREFIX[:-1]}(?:_[A-Z0-9_]+?)??)_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?"
    r"|PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)")


def is_kubernetes_variable(variable: str, environ: Mapping[str, str]) -> bool:
    """Whether Kubernetes has put `variable` into `environ` for a Service called ``gworkers`` or ``gworkers-...``.

    It does so in every pod of the Service's namespace:
    https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    link = _SERVICE_LINK.fullmatch(variable)
    if link is None:
        return False
    # GWORKERS_BIND_PORT may be a misspelt setting, unless the Service gworkers-bind exists.
    return link[1] == PREFIX[:-1] or f"{link[1]}_SERVICE_HOST" in environ


def _known(spelled: str, names: Mapping[str, str], origin: str) -> str:
    if spelled in names:
        return names[spelled]
    spellings = {name: spelling for spelling, name in names.items()}
    # Without the prefix, which would make every variable look like every other one.
    close = difflib.get_close_matches(spelled.removeprefix(PREFIX).lower(), spellings, n=1)
    gunicorns = spelled.removeprefix(PREFIX).lower()
    if gunicorns in GUNICORNS:
        advice = f"It is Gunicorn's: write {gunicorns} = ... into gunicorn.conf.py"
    else:
        advice = f"Did you mean {spellings[close[0]]}?" if close else f"Known are {', '.join(names)}"
    raise SettingsError(invalid_setting(
        f"gworkers has no setting {spelled!r} ({origin})", "nothing would come of it", advice))


_PLACE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

_NUMERALS = {
    # Bounded, and plain ASCII: int() and float() also take "1_0", " 7", "٣" and "infinity".
    float: re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?|\.[0-9]{1,18}"),
    int: re.compile(r"[0-9]{1,18}"),
}


def _numeral(kind: Any, text: str) -> object:
    """The number that `text` spells where `kind` wants one, else `text`, for `_checked` to judge."""
    number = get_args(kind)[0] if get_origin(kind) is not Literal else None
    if number in _NUMERALS and _NUMERALS[number].fullmatch(text.strip()):
        return number(text)
    return text


def _checked(name: str, kind: Any, value: object, origin: str) -> object:
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        if isinstance(value, str) and value in choices:
            return value
        allowed = " or ".join(map(repr, choices))
    elif kind is Names:
        allowed = get_args(kind)[1]
        names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
        if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
            return tuple(name for name in names if name)
    elif kind is Hook:
        allowed = get_args(kind)[1]
        if callable(value) or (isinstance(value, str) and _PLACE.fullmatch(value)):
            return value
    elif kind is Path:
        allowed = get_args(kind)[1]
        if value is None or (isinstance(value, str) and value and "\0" not in value):
            return value
    else:
        number, allowed = get_args(kind)
        wanted = (int, float) if number is float else int
        # bool is an int to Python, but head_timeout=True is a mistake; NaN fails every comparison.
        if isinstance(value, wanted) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max:
            return number(value)
    found = " ".join(reprlib.repr(value).split())
    raise SettingsError(invalid_setting(
        f"gworkers setting {name} is {found} ({origin})", "nothing can be made of that", f"It takes {allowed}"))


def load_hook(hook: Any) -> Callable[..., Any]:
    """Return what the hook *hook*, checked already, stands for.

    :raises SettingsError: if it cannot be imported
    """
    if callable(hook):
        return cast("Callable[..., Any]", hook)
    module, _, name = hook.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SettingsError(invalid_setting(
            f"gworkers setting post_patch is {hook!r}", f"that cannot be imported ({describe(error)})",
            "Correct the name, or what it imports; --pythonpath puts a directory on the path")) from None
    if not callable(found):
        raise SettingsError(invalid_setting(f"gworkers setting post_patch is {hook!r}", "that cannot be called",
                                    "Name a function"))
    return cast("Callable[..., Any]", found)
