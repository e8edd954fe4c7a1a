"""The originals of the standard library that a monkey patch replaces, and the impact of a module that keeps one.

An original is recognized by its module and name. So the check needs no state from before the patch. A worker of a
patched master does not have such state.

Some replaced names are not listed, because their originals stay usable: they are Python code, which looks up the
replacements in its own module at each call. Examples are ``threading.Event``, ``Semaphore`` and ``current_thread``,
``queue.Queue``, ``socket.create_connection``, ``ssl.create_default_context`` and ``subprocess.run``. Objects of such
classes from before the patch stay usable too.
"""
from __future__ import annotations

import sys
from types import FunctionType
from typing import Any, NamedTuple

BLOCKS = "it blocks the hub, and with it all other requests"
WAITS = "a request that waits for it blocks the hub, forever if another request would have to end the wait"
LOCAL = "all requests share the data in it, as if they were one thread"
IDENT = "it returns the same value to all requests, as if they were one thread, so they share data stored by it"
RLOCK = "it treats all requests as one thread, so several can hold it at the same time"
JOIN = "join() of a thread made with it never returns"
STARTS = "it starts native threads, which cannot use the locks and sockets of greenlets safely"
TLS = "TLS connections made with it fail with RecursionError"
#: From the worst to the least.
IMPACTS = (TLS, LOCAL, IDENT, RLOCK, WAITS, JOIN, STARTS, BLOCKS)


class Original(NamedTuple):
    """A function or class of the standard library that a patch may replace."""

    #: public name
    name: str
    #: the problem in a module that keeps it
    impact: str
    #: the public name that is looked up to see whether it was replaced; usually its own
    looked_up: str


#: By ``__module__`` and ``__qualname__``.
Originals = dict[tuple[str, str], Original]


def _originals(impact: str, names: str, *, module: str = "") -> Originals:
    """Return originals that are defined under their public names.

    :param module: the module that defines them; by default the module in the public name
    """
    return {(module or name.partition(".")[0], name.partition(".")[2]): Original(name, impact, name)
            for name in names.split()}


#: Classes whose objects cause problems.
OBJECTS: Originals = {
    ("_queue", "SimpleQueue"): Original("queue.SimpleQueue", WAITS, "queue.SimpleQueue"),
    ("_thread", "_local"): Original("threading.local", LOCAL, "threading.local"),
    ("_thread", "lock"): Original("threading.Lock", WAITS, "threading.Lock"),
    # gevent does not replace the name threading.RLock, but makes it return another class.
    ("_thread", "RLock"): Original("threading.RLock", RLOCK, "threading.Lock"),
    ("ssl", "SSLContext"): Original("ssl.SSLContext", BLOCKS, "ssl.SSLContext"),
}

#: Functions and classes that cause problems.
NAMES: Originals = {
    **{name: original for name, original in OBJECTS.items() if name != ("_thread", "RLock")},
    ("_thread", "allocate_lock"): Original("threading.Lock", WAITS, "threading.Lock"),
    ("_thread", "get_ident"): Original("threading.get_ident", IDENT, "threading.get_ident"),
    **_originals(WAITS, "_thread.allocate"),
    **_originals(RLOCK, "threading.RLock"),
    # Its property setters call super() of the class named ssl.SSLContext. After the patch that is a subclass, so they
    # call themselves.
    **_originals(TLS, "ssl.SSLContext"),
    **_originals(STARTS, "_thread.start_new_thread _thread.start_new _thread.start_joinable_thread"),
    **_originals(BLOCKS, "time.sleep os.fdopen subprocess.Popen ssl.SSLSocket socket.socket socket.getaddrinfo"),
    **_originals(BLOCKS, "os.wait os.waitpid", module="posix"),
    **_originals(BLOCKS, "socket.gethostbyname socket.gethostbyname_ex socket.gethostbyaddr socket.getnameinfo",
                 module="_socket"),
    **_originals(BLOCKS, "select.select select.poll select.epoll select.kqueue select.devpoll"),
    **_originals(BLOCKS, "selectors.SelectSelector selectors.PollSelector selectors.EpollSelector "
                         "selectors.KqueueSelector selectors.DevpollSelector"),
}
if sys.version_info < (3, 13):
    # Before 3.13 join() waits for a lock that the interpreter releases at the end of a native thread only.
    NAMES.update(_originals(JOIN, "threading.Thread threading.Timer"))


def origin(value: Any) -> tuple[str, str]:
    """Return the module and the name that *value*, a function or a class, was defined with."""
    if type(value) is FunctionType:
        # A wrapper has the name of the wrapped function, but its own code.
        return value.__globals__.get("__name__", ""), value.__code__.co_name
    # A class may have any object as its __module__.
    return str(getattr(value, "__module__", "")), getattr(value, "__qualname__", "")


def is_replaced(original: Original) -> bool:
    """Return whether a patch has replaced *original*; false if its module is not imported."""
    module, _, name = original.looked_up.partition(".")
    if module not in sys.modules:
        return False
    current = vars(sys.modules[module]).get(name)
    return not callable(current) or origin(current) not in NAMES
