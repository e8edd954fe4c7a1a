"""The settings of gworkers: their names, types and defaults, and how they are read.

Three layers, the later ones win: the defaults below, ``GWORKERS_<NAME>`` environment variables, and
``GeventWorker.configure(name=value)``. Gunicorn ignores unknown names. gworkers refuses them, because a
misspelled limit that silently keeps its default is discovered in an outage.
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

from gworkers.error_text import describe
from gworkers.errors import SettingsError
from gworkers.findings import invalid_setting
from gworkers.gunicorn_compat import known_settings

PREFIX = "GWORKERS_"

#: Variables that are no settings: a worker sets them for its application, and a master for the second master.
RESERVED = frozenset(("GWORKERS_BACKGROUND_FILE", "GWORKERS_NUMBER", "GWORKERS_SLOT", "GWORKERS_STATUS_SOCKET"))

#: The names of Gunicorn's own settings.
GUNICORN_SETTINGS = frozenset(known.name for known in known_settings())

Seconds = Annotated[float, "a number of seconds, 0 or more (0: no limit)"]
Bytes = Annotated[int, "a whole number of bytes, 0 or more"]
Count = Annotated[int, "a whole number, 0 or more (0: no limit)"]
Switch = Annotated[bool, "True or False; in the environment 1, true, yes or on, or 0, false, no or off"]
Address = Annotated[Optional[str], "an address: 'host:port' or 'unix:/path'"]
Path = Annotated[Optional[str], "a path"]
Names = Annotated[tuple[str, ...], "names, separated by commas or in a list"]
Hook = Annotated[object, "a function or an import path: 'package.module:function'"]


@dataclass(frozen=True)
class Settings:
    """The settings of one worker class. Build it with :meth:`resolve`, which checks every value.

    The idle time of a connection between two requests is Gunicorn's own setting ``keepalive``.
    """

    request_greenlets: Literal["reused", "fresh"] = "reused"
    """``reused``: a greenlet serves one request after another. It keeps its thread-locals, like a thread
    in a pool, so database connections in them are used again. ``fresh``: each request gets a new
    greenlet, so thread-locals are isolated too. This costs 10 to 16 us per request on CPython 3.11 and
    newer. Context variables are isolated in both modes."""

    handshake_timeout: Seconds = 10.0
    """Seconds for a TLS handshake, from the accepted connection to the established session."""

    head_timeout: Seconds = 30.0
    """Seconds for a whole request head, from its first byte to the empty line. A late head is answered
    with 408 (RFC 9110 section 15.5.9). The same limit applies to the trailer section of a chunked body,
    from the last chunk to the empty line, and to a new connection that sends nothing. When the worker is
    full, such a connection is closed earlier."""

    body_timeout: Seconds = 60.0
    """Seconds that each read of a request body waits for more bytes."""

    write_timeout: Seconds = 60.0
    """Seconds that a response may make no progress because the client accepts no byte of it."""

    linger_timeout: Seconds = 2.0
    """Seconds of lingering close after an error: the server reads and discards what the client still
    sends, so that a reset does not destroy the response before the client has read it (RFC 9112
    section 9.6)."""

    drain_keepalive: Seconds = 2.0
    """Seconds that an idle connection stays open, at most, while its worker drains. One last request on
    it is answered, with ``Connection: close``."""

    drain_delay: Seconds = 0.0
    """Seconds between the signal to stop and the close of the listener. The worker serves normally
    during this time, for load balancers that react late. They count towards ``graceful_timeout``. A
    reload has no delay."""

    readiness_file: Path = None
    """A file that exists while the server is ready and is removed before it stops. It holds the process
    id of the master."""

    status_address: Address = None
    """The address of the status server, ``host:port`` or ``unix:/path``. It serves metrics, probes and the state of the
    server, in a process of its own. None: no status server."""

    block_warning: Seconds = 1.0
    """Seconds after which it is logged that the hub is blocked: the code, its stack and its request. 0: never."""

    request_timeout: Seconds = 0.0
    """Seconds that a request may take, from the start of its greenlet to the end of its response. Then the client
    gets 504, or a reset if the response has begun. 0: no limit."""

    request_timeout_action: Literal["release", "cancel"] = "release"
    """What happens to a request after ``request_timeout``. ``release``: it runs on, and its output is discarded.
    ``cancel``: :exc:`gworkers.RequestTimeout` is raised in it where it waits."""

    max_active_requests: Count = 0
    """The most requests that a worker serves at once. A request above it gets 503 at once. 0: no limit."""

    on_client_gone: Literal["ignore", "cancel"] = "ignore"
    """What happens to a request whose client has left. ``ignore``: it runs on. ``cancel``: :exc:`gworkers.ClientGone`
    is raised in it where it waits."""

    boot_timeout: Seconds = 300.0
    """Seconds that a worker may take until it serves. Gunicorn's ``timeout`` applies from then on."""

    max_rss: Bytes = 0
    """Bytes of memory (resident set) at which a worker is replaced, checked once a second. 0: never."""

    max_rss_jitter: Bytes = 0
    """Upper bound of a random number of bytes that is added to ``max_rss``, so that workers are replaced
    at different times."""

    discard_body_limit: Bytes = 65536
    """Bytes of an unread request body that are read and discarded to keep the connection open. If more is
    left, the connection is closed. 0: every unread body closes it."""

    time_slice: Seconds = 0.01
    """Seconds that a handler which streams to a fast reader may run before it yields to the other
    connections and the heartbeat. It also limits how long requests that never wait are served one after
    another before the hub runs again. 0: no limit."""

    patch: Names = ("all",)
    """The parts of the standard library that the hub's library patches: ``all``, some of ``parts`` in
    :data:`gworkers.hubs.HUBS`, or none."""

    post_patch: Hook = None
    """A function that is called after patching and before the application is loaded, for libraries that
    must be made cooperative, such as ``grpc.experimental.gevent:init_gevent``. It receives the worker if
    it has a parameter called ``worker``, a positional parameter without a default, or ``*args``."""

    psycopg2: Literal["report", "wait"] = "report"
    """How to treat psycopg2, which blocks the hub by default. ``report``: log a finding. ``wait``: make
    it wait on the hub."""

    asyncio_thread: Switch = False
    """Whether ``asyncio.run`` and asgiref's ``async_to_sync``, and so async views of Flask and Django, use the asyncio
    loop of the worker, which runs in another native thread: :func:`gworkers.run_async`. Otherwise they fail if two
    requests use them at the same time."""

    access_log_json: Switch = False
    """Whether the access log has a JSON object for each request, in place of ``access_log_format``, with its hub time
    and its waiting time."""

    silence: Names = ()
    """Codes of warnings that are not logged. docs/checks.md lists the codes. Findings that stop a worker
    cannot be silenced."""

    @classmethod
    def resolve(cls, overrides: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
        """Return the defaults, updated from ``GWORKERS_*`` in *environ*, then from *overrides*.

        :raises SettingsError: for an unknown name and for a value that the setting does not allow
        """
        return cls(**{name: value for name, (value, _) in cls._non_defaults(overrides, environ).items()})

    @classmethod
    def origins(cls, overrides: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, str]:
        """Return the source of each setting: ``default``, an environment variable or ``configure()``.

        :raises SettingsError: like :meth:`resolve`
        """
        set_names = cls._non_defaults(overrides, environ)
        return {field.name: set_names[field.name][1] if field.name in set_names else "default" for field in fields(cls)}

    @classmethod
    def _non_defaults(cls, overrides: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
        """Return the value and the source of each setting that is set, by name."""
        kinds = get_type_hints(cls, include_extras=True)
        variables = {PREFIX + name.upper(): name for name in kinds}
        found: dict[str, tuple[Any, str]] = {}
        for variable in sorted(environ):
            if (variable.startswith(PREFIX) and variable not in RESERVED
                    and not is_kubernetes_variable(variable, environ)):
                name = _setting_name(variable, variables, "the environment")
                origin = f"environment variable {variable}"
                found[name] = _validate(name, kinds[name], _from_text(kinds[name], environ[variable]), origin), origin
        for name in sorted(overrides):
            _setting_name(name, {known: known for known in kinds}, "configure()")
            found[name] = _validate(name, kinds[name], overrides[name], "configure()"), "configure()"
        return found


_SERVICE_VARIABLE = re.compile(
    rf"({PREFIX[:-1]}(?:_[A-Z0-9_]+?)??)_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?"
    r"|PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)")


def is_kubernetes_variable(variable: str, environ: Mapping[str, str]) -> bool:
    """Return whether *variable* was set by Kubernetes for a Service called ``gworkers`` or ``gworkers-...``.

    Kubernetes sets such variables in every pod of the Service's namespace:
    https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    """
    match = _SERVICE_VARIABLE.fullmatch(variable)
    if match is None:
        return False
    # GWORKERS_BIND_PORT may be a misspelled setting, unless the Service gworkers-bind exists.
    return match[1] == PREFIX[:-1] or f"{match[1]}_SERVICE_HOST" in environ


def _setting_name(key: str, names_by_key: Mapping[str, str], origin: str) -> str:
    """Return the setting that *key*, a variable or an argument, stands for. Raise SettingsError if there is none."""
    if key in names_by_key:
        return names_by_key[key]
    keys_by_name = {name: known for known, name in names_by_key.items()}
    # The prefix would make all variables similar to each other.
    name = key.removeprefix(PREFIX).lower()
    similar = difflib.get_close_matches(name, keys_by_name, n=1)
    if name in GUNICORN_SETTINGS:
        advice = f"It is a setting of Gunicorn: write {name} = ... into gunicorn.conf.py"
    else:
        advice = f"Did you mean {keys_by_name[similar[0]]}?" if similar else f"Known are {', '.join(names_by_key)}"
    raise SettingsError(invalid_setting(
        f"gworkers has no setting {key!r} ({origin})", "it would be ignored", advice))


_HOOK_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")

_ADDRESS = re.compile(r"unix:[^\0]+|(?:\[[0-9A-Fa-f:.]+\]|[^\s\[\]:/]+):[0-9]{1,5}")

_NUMBER_SYNTAX = {
    # Bounded, and plain ASCII: int() and float() also accept "1_0", " 7", "٣" and "infinity".
    float: re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?|\.[0-9]{1,18}"),
    int: re.compile(r"[0-9]{1,18}"),
}

_SWITCH_WORDS = {**dict.fromkeys(("1", "true", "yes", "on"), True), **dict.fromkeys(("0", "false", "no", "off"), False)}


def _from_text(kind: Any, text: str) -> object:
    """Return *text* as a number or a bool if *kind* is one and the syntax is right; else *text*, for `_validate`."""
    if kind is Switch:
        return _SWITCH_WORDS.get(text.strip().lower(), text)
    number = get_args(kind)[0] if get_origin(kind) is not Literal else None
    if number in _NUMBER_SYNTAX and _NUMBER_SYNTAX[number].fullmatch(text.strip()):
        return number(text)
    return text


def _validate(name: str, kind: Any, value: object, origin: str) -> object:
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
        if callable(value) or (isinstance(value, str) and _HOOK_PATH.fullmatch(value)):
            return value
    elif kind is Switch:
        allowed = get_args(kind)[1]
        if isinstance(value, bool):
            return value
    elif kind is Address:
        allowed = get_args(kind)[1]
        if value is None or (isinstance(value, str) and _ADDRESS.fullmatch(value)):
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
        f"gworkers setting {name} is {found} ({origin})", "invalid value", f"Expected: {allowed}"))


def load_hook(hook: Any) -> Callable[..., Any]:
    """Return the function that *hook*, a validated setting, names.

    :raises SettingsError: if it cannot be imported or is not callable
    """
    if callable(hook):
        return cast("Callable[..., Any]", hook)
    module, _, name = hook.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SettingsError(invalid_setting(
            f"gworkers setting post_patch is {hook!r}", f"it cannot be imported ({describe(error)})",
            "Correct the name or the module; --pythonpath adds a directory to the import path")) from None
    if not callable(found):
        raise SettingsError(invalid_setting(f"gworkers setting post_patch is {hook!r}", "it is not callable",
                                            "Name a function"))
    return cast("Callable[..., Any]", found)
