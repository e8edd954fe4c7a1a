"""The logs of uWSGI as Gunicorn's access log and error log."""
from __future__ import annotations

import re
from dataclasses import replace

from gworkers.convert import addresses
from gworkers.convert.configuration import Option
from gworkers.convert.draft import Draft
from gworkers.convert.value import Value

#: uWSGI's variables of a log line, and Gunicorn's.
ATOMS = {
    "addr": "%(h)s", "user": "%(u)s", "method": "%(m)s", "uri": "%({raw_uri}e)s", "proto": "%(H)s", "status": "%(s)s",
    "size": "%(B)s", "rsize": "%(B)s", "hsize": "-", "cl": "%({content-length}i)s", "micros": "%(D)s", "msecs": "%(M)s",
    "secs": "%(T)s", "ctime": "%(t)s", "ltime": "%(t)s", "ftime": "%(t)s", "time": "%(t)s", "pid": "%(p)s",
    "host": "%({host}i)s", "referer": "%(f)s", "uagent": "%(a)s",
}
VARIABLE = re.compile(r"%\(([^()]*)\)(?:s)?|%")
#: Gunicorn's default, with the header in the place of the peer's address.
FORWARDED = '%({x-forwarded-for}i)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'

PASSED = "the proxy passes the address of the client on"
TARGETS = ("Gunicorn logs to files and to stdout and stderr (errorlog, accesslog), or to syslog (syslog, syslog_addr). "
           "Choose one.")


def file(option: Option, draft: Draft) -> None:
    """A file for all lines: those of the server, of the application and of each request."""
    where = _target(option.value)
    if where is None:
        draft.note(option, TARGETS)
        return
    draft.set("errorlog", where, option)
    draft.set("capture_output", "True", option, "stdout and stderr of the application go to errorlog")


def daemon(option: Option, draft: Draft) -> None:
    """Run in the background with a file for the log."""
    draft.set("daemon", "True", option)
    file(option, draft)


def requests(option: Option, draft: Draft) -> None:
    """A file for the lines of requests."""
    where = _target(option.value)
    if where is not None:
        draft.set("accesslog", where, option)
    else:
        draft.note(option, TARGETS)


def format_(option: Option, draft: Draft) -> None:
    """The format of the line of a request."""
    unknown: list[str] = []

    def atom(found: re.Match[str]) -> str:
        if found[1] is None:
            return "%%"
        if found[1].startswith("var."):
            name = found[1][4:]
            return f"%({{{name[5:].lower().replace('_', '-')}}}i)s" if name.startswith("HTTP_") else f"%({{{name}}}e)s"
        if found[1] not in ATOMS:
            unknown.append(found[1])
        return ATOMS.get(found[1], "-")

    # Gunicorn's time has its brackets.
    parts = [VARIABLE.sub(atom, part).replace("[%(t)s]", "%(t)s") if isinstance(part, str) else part
             for part in option.value.parts]
    draft.set("access_log_format", Value.of(*parts).string(), option)
    if unknown:
        draft.note(option, f"The access log has no {', '.join(unknown)}. The line has - in its place.")


def forwarded(option: Option, draft: Draft) -> None:
    """The address of the client from a header."""
    if option.value.switch() != "False" and not draft.has("access_log_format"):
        draft.set("access_log_format", Value.of(FORWARDED).string(), option, "log-x-forwarded-for")


def finish(options: list[Option], draft: Draft) -> None:
    """Log requests where uWSGI does: everywhere, unless it is turned off."""
    off = [option for option in options if option.name == "disable-logging"]
    if not draft.has("accesslog"):
        if off and off[-1].value.switch() != "False":
            return
        draft.settings += [replace(each, setting="accesslog") for each in draft.of("errorlog")]
    if not draft.has("accesslog"):
        draft.set("accesslog", '"-"', comment="uWSGI logs each request; remove this line if a proxy does")
    if addresses.has_only_uwsgi(options):
        _log_clients(draft)


def _log_clients(draft: Draft) -> None:
    """Log addresses of clients, which the uwsgi protocol has passed on. In HTTP the proxy sends a header."""
    if not draft.has("access_log_format"):
        draft.set("access_log_format", Value.of(FORWARDED).string(), comment=PASSED)
    draft.settings = [
        replace(each, expression=each.expression.replace("%(h)s", "%({x-forwarded-for}i)s"))
        if each.setting == "access_log_format" else each for each in draft.settings]


def _target(value: Value) -> str | None:
    """Return a Python expression for the file, or ``None`` if the log does not go to one."""
    plain = value.without_comment()
    if plain.text is None:
        return plain.string()
    text = plain.text
    name, colon, rest = text.partition(" ")
    if colon and re.fullmatch(r"[a-z0-9_]+", name):
        # A name that other options refer to: logger = access file:/var/log/access.log
        text = rest.strip()
    text = text.removeprefix("file:")
    if text in ("stdio", "/dev/stdout", "/dev/stderr", "stdio:", "fd:1", "fd:2"):
        return '"-"'
    # An address, or the name of a plugin.
    other = re.match(r"[a-z0-9_]+:|[^/]+:[0-9]+$", text) or not set("/.") & set(text)
    return None if other else Value.of(text).string()
