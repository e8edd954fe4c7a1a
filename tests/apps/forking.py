"""Handlers that fork, with os.fork and multiprocessing. The child reports what it has inherited."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from app_support import answer, say
from probe import app as probe

SIGNALS = "TERM QUIT INT ABRT USR1".split()


def sockets() -> list[str]:
    """The file descriptors of this process that are TCP sockets."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                with socket.socket(fileno=os.dup(int(name))) as sock:
                    if sock.family == socket.AF_INET:
                        accepts = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                        found.append(f"{name} {'accepts' if accepts else 'is connected'}")
        except OSError:
            pass
    return found


def handlers() -> dict[str, str]:
    return {name: getattr(signal.getsignal(getattr(signal, f"SIG{name}")), "__name__", "default") for name in SIGNALS}


def child(gate: str) -> None:
    """The child: report its state, and wait until the file exists."""
    say("child " + json.dumps({"pid": os.getpid(), "sockets": sockets(), "handlers": handlers()}))
    while gate and not os.path.exists(gate):
        time.sleep(0.01)
    say("child is done")


def target(gate: str) -> None:
    child(gate)
    if "eventlet" in sys.modules:
        # In a process that was forked in a greenlet, the threading of eventlet waits for ever at exit.
        os._exit(0)


def returns(start_response: Callable[..., Any]) -> Iterable[bytes]:
    return answer(start_response, b"from the child")


def leaves(start_response: Callable[..., Any]) -> Iterable[bytes]:
    sys.exit(5)


def raises(start_response: Callable[..., Any]) -> Iterable[bytes]:
    raise LookupError("deliberate, in the child")


ENDS = {"returns": returns, "leaves": leaves, "raises": raises}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    name = environ["PATH_INFO"].strip("/")
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    gate = query.get("gate", "")
    if name in ENDS:
        pid = os.fork()
        if pid == 0:
            child(gate)
            return ENDS[name](start_response)
        status = os.waitpid(pid, 0)[1]
        ended: object = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    elif name == "process":
        process = multiprocessing.get_context("fork").Process(target=target, args=[gate])
        process.start()
        process.join()
        ended = process.exitcode
    else:
        return probe(environ, start_response)
    return answer(start_response, json.dumps({"pid": os.getpid(), "ended": ended}).encode())
