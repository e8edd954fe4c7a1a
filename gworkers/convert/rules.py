"""The ways in which an option of uWSGI becomes a setting."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gworkers.convert import addresses
from gworkers.convert.configuration import Option
from gworkers.convert.draft import Assignment, Draft
from gworkers.convert.value import Value, ValueProblem

Kind = Callable[[Value], str]


#: Adds to a draft what an option becomes. It raises ValueProblem if the value cannot be converted.
Rule = Callable[[Option, Draft], None]


def text(value: Value) -> str:
    """The value as it stands."""
    return value.string()


def number(value: Value) -> str:
    """A whole number."""
    return value.integer()


def switch(value: Value) -> str:
    """On or off."""
    return value.switch()


def megabytes(value: Value) -> str:
    """A number of megabytes, in bytes."""
    return f"{value.integer()} * 1024 * 1024"


def mask(value: Value) -> str:
    """Octal digits of a file mode mask."""
    return f"int({value.without_comment().string()}, 8)" if value.text is None else f"0o{int(value.text, 8):03o}"


@dataclass(frozen=True)
class Setting:
    """The option is one of Gunicorn's settings."""

    name: str
    kind: Kind = text
    comment: str = ""

    def __call__(self, option: Option, draft: Draft) -> None:
        """Set it."""
        draft.set(self.name, self.kind(option.value), option, self.comment)


@dataclass(frozen=True)
class Own:
    """The option is one or more of gworkers' settings."""

    names: str
    kind: Kind = text
    comment: str = ""

    def __call__(self, option: Option, draft: Draft) -> None:
        """Set them."""
        for name in self.names.split():
            draft.set_own(name, self.kind(option.value), option, self.comment)


@dataclass(frozen=True)
class Items:
    """The option is an item of one of Gunicorn's settings that is a list."""

    name: str

    def __call__(self, option: Option, draft: Draft) -> None:
        """Append the item."""
        draft.append(self.name, option.value.string(), option)


def nothing(option: Option, draft: Draft) -> None:
    """gworkers does this without a setting, or the option has no purpose there."""
    draft.needs_nothing(option)


def together(_option: Option, _draft: Draft) -> None:
    """The option is converted together with others, by the module application or logs."""


def missing(_option: Option, _draft: Draft) -> None:
    """There is no equivalent. The advice of the option says what to do."""


def harakiri(option: Option, draft: Draft) -> None:
    """The time limit of a request. A worker that is blocked for as long is replaced, as in uWSGI."""
    seconds = option.value.integer()
    if seconds == "0":
        return
    draft.set_own("request_timeout", seconds, option, "harakiri: the client gets 504")
    draft.set("timeout", seconds, option, "harakiri: a worker that is blocked for this long is replaced")


def leave_time(draft: Draft) -> None:
    """Let requests end when the server reloads, as uWSGI does for 60 s. Gunicorn's default is 30 s."""
    if draft.has("graceful_timeout"):
        return
    for each in draft.own:
        limit = each.expression
        if each.setting != "request_timeout" or (limit.isdecimal() and int(limit) <= 30):
            continue
        seconds = str(min(int(limit), 60)) if limit.isdecimal() else f"max(30, min({limit}, 60))"
        draft.settings.append(Assignment("graceful_timeout", seconds, "harakiri, at most the 60 s of uWSGI",
                                         each.condition))


def keepalive(option: Option, draft: Draft) -> None:
    """The idle time of a connection. uWSGI's option may be a switch."""
    try:
        seconds = option.value.integer()
    except ValueError:
        seconds = ""
    if seconds in ("", "0", "1"):
        draft.needs_nothing(option)
    else:
        draft.set("keepalive", seconds, option)


def buffer_size(option: Option, draft: Draft) -> None:
    """The size of a request head."""
    size = option.value.integer()
    if size == "0":
        raise ValueProblem("a buffer of 0 bytes holds no request")
    longest = str(min(int(size), 8190)) if size.isdecimal() else f"min({size}, 8190)"
    draft.set("limit_request_line", longest, option, "buffer-size; 8190 is the most that Gunicorn allows")
    draft.set("limit_request_field_size", size, option, "buffer-size, for each field")


def umask(option: Option, draft: Draft) -> None:
    """The mask of file modes. The mode of the socket takes precedence."""
    if not draft.has("umask"):
        draft.set("umask", mask(option.value), option)


def reload_mercy(option: Option, draft: Draft) -> None:
    """The time that requests have to end when the server reloads. That of a worker takes precedence."""
    if not draft.has("graceful_timeout"):
        draft.set("graceful_timeout", option.value.integer(), option)


def pidfile(option: Option, draft: Draft) -> None:
    """A file with the process id of the master. uWSGI can write several."""
    value = option.value.string()
    if any(earlier.expression != value and earlier.condition == option.condition for earlier in draft.of("pidfile")):
        draft.note(option, "Gunicorn writes one pidfile, the last of these options. Name it in scripts that read "
                           "another one.")
    draft.set("pidfile", value, option)


def environment(option: Option, draft: Draft) -> None:
    """A variable of the environment."""
    if option.value.text is not None and "=" not in option.value.text:
        draft.append("raw_env", Value.of(option.value.text, "=").string(), option)
    else:
        draft.append("raw_env", option.value.string(), option)


def virtualenv(option: Option, draft: Draft) -> None:
    """The environment from which Gunicorn has to be started."""
    draft.environment = option.value.text if not option.condition else draft.environment


def paste(option: Option, draft: Draft) -> None:
    """A PasteDeploy configuration."""
    plain = option.value.text or ""
    draft.set("paste", Value.of(plain.replace("config:", "", 1)).string() if plain else option.value.string(), option)


def recycle_memory(option: Option, draft: Draft) -> None:
    """The hard limit on memory, where there is no soft one."""
    if not draft.has("max_rss"):
        draft.set_own("max_rss", megabytes(option.value), option)


def no_sendfile(option: Option, draft: Draft) -> None:
    """Files are sent without sendfile."""
    draft.set("sendfile", "False", option)


def reload(option: Option, draft: Draft) -> None:
    """Reload when the code changes."""
    draft.set("reload", option.value.switch(), option)


def lazy(option: Option, draft: Draft) -> None:
    """Each worker loads the application, also with a value that says otherwise."""
    draft.needs_nothing(option)
    if option.value.switch() == "False":
        draft.note(option, "Each worker loads the application itself. Loading it once in the master saves memory: "
                           "preload_app = True, with the patch at the top of gunicorn.conf.py (docs/settings.md).")


def concurrency(option: Option, draft: Draft) -> None:
    """The number of requests that a worker serves at once."""
    count = option.value.integer()
    if count not in ("0", "1"):
        draft.set("worker_connections", count, option, f"{option.name}: connections of each worker")


def statsd(option: Option, draft: Draft) -> None:
    """Figures for statsd: statsd:host:port[,prefix]."""
    text = option.value.text or ""
    kind, _, rest = text.partition(":")
    where, _, prefix = rest.partition(",")
    if kind != "statsd" or not where:
        draft.note(option, "Gunicorn sends figures to statsd only (statsd_host). Other systems can read /metrics of "
                           "status_address.")
        return
    draft.set("statsd_host", Value.of(where).string(), option)
    if prefix:
        draft.set("statsd_prefix", Value.of(prefix).string(), option)


def address(value: Value) -> str:
    """An address to listen on."""
    return addresses.address(value).string()


def master_hook(option: Option, draft: Draft) -> None:
    """A hook of the master. The usual one lets requests end at TERM, which gworkers does anyway."""
    if option.value.shown.split() == ["unix_signal:15", "gracefully_kill_them_all"]:
        draft.needs_nothing(option)
    else:
        draft.note(option, "The hooks on_starting and when_ready of gunicorn.conf.py run Python code in the master.")
