"""What a patch replaces in the standard library, and what comes of it where somebody keeps the original.

An original says itself where it comes from. So nothing has to be remembered from before the patch, which in a patched
master is long ago.

Left out is what works all the same, because it is Python code that finds the replacements in its own module whenever
it is called: ``threading.Event``, ``Semaphore`` and ``current_thread``, ``queue.Queue``, ``socket.create_connection``,
``ssl.create_default_context``, ``subprocess.run``. So do objects of these classes that were made before the patch.
"""
from __future__ import annotations

import sys
from types import FunctionType
from typing import Any, NamedTuple

BLOCKS = "it blocks the hub, and with it all other requests"
WAITS = "who waits for it blocks the hub, for ever if another request would have to end the wait"
LOCAL = "all requests share what is stored in it, as if they were one thread"
IDENT = "it tells all requests the same, as if they were one thread, and so they share what is kept under that"
RLOCK = "it takes all requests for one thread, and lets them in together"
JOIN = "join() of a thread made with it never returns"
STARTS = "the threads that it starts are real ones, which locks and sockets of greenlets are not made for"
TLS = "TLS connections that are made with it fail with RecursionError"
#: The worst first.
CONSEQUENCES = (TLS, LOCAL, IDENT, RLOCK, WAITS, JOIN, STARTS, BLOCKS)


class Original(NamedTuple):
    """Something that a patch may replace."""

    #: public name
    name: str
    #: what comes of it where it is kept
    impact: str
    #: the public name that tells whether it has been replaced; usually its own
    witness: str


#: By what they call themselves: module and name.
Originals = dict[tuple[str, str], Original]


def _originals(impact: str, names: str, *, module: str = "") -> Originals:
    """Return *names*, whose originals call themselves the same, but for the *module*, if that is given."""
    return {(module or name.partition(".")[0], name.partition(".")[2]): Original(name, impact, name)
            for name in names.split()}


#: Objects of these matter.
OBJECTS: Originals = {
    ("_queue", "SimpleQueue"): Original("queue.SimpleQueue", WAITS, "queue.SimpleQueue"),
    ("_thread", "_local"): Original("threading.local", LOCAL, "threading.local"),
    ("_thread", "lock"): Original("threading.Lock", WAITS, "threading.Lock"),
    # gevent leaves threading.RLock in its place, and has it make another kind.
    ("_thread", "RLock"): Original("threading.RLock", RLOCK, "threading.Lock"),
    ("ssl", "SSLContext"): Original("ssl.SSLContext", BLOCKS, "ssl.SSLContext"),
}

#: Functions and classes that matter.
NAMES: Originals = {
    **{name: original for name, original in OBJECTS.items() if name != ("_thread", "RLock")},
    ("_thread", "allocate_lock"): Original("threading.Lock", WAITS, "threading.Lock"),
    ("_thread", "get_ident"): Original("threading.get_ident", IDENT, "threading.get_ident"),
    **_originals(WAITS, "_thread.allocate"),
    **_originals(RLOCK, "threading.RLock"),
    # Its properties look for themselves in whatever is called ssl.SSLContext by then.
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
    # Until then a thread was told of its end by the interpreter, which does not know of greenlets.
    NAMES.update(_originals(JOIN, "threading.Thread threading.Timer"))


def origin(value: Any) -> tuple[str, str]:
    """Return the module that *value*, a function or a class, says that it is from, and its name there."""
    if type(value) is FunctionType:
        # What wraps another has its name, but not its code.
        return value.__globals__.get("__name__", ""), value.__code__.co_name
    # A class may have anything in place of its module's name.
    return str(getattr(value, "__module__", "")), getattr(value, "__qualname__", "")


def is_replaced(original: Original) -> bool:
    """Whether a patch has replaced *original*, in the modules that are loaded."""
    module, _, name = original.witness.partition(".")
    if module not in sys.modules:
        return False
    now = vars(sys.modules[module]).get(name)
    return not callable(now) or origin(now) not in NAMES
