"""Imports before the patch: the findings of a real Gunicorn, and the behaviour of early and harmless objects."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gworkers.checks.originals import BLOCKS, IDENT, JOIN, LOCAL, RLOCK, TLS, WAITS
from gworkers.hubs import HUBS
from support.client import request
from support.launch import ANNOUNCE, importable
from support.paths import APPS
from support.server import Server

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Start = Callable[..., Server]

#: By source code of a module: what it keeps if it is imported too early, and the impact.
KEEPING = {
    "from time import sleep": ("time.sleep", BLOCKS),
    "from socket import socket": ("socket.socket", BLOCKS),
    "from socket import getaddrinfo": ("socket.getaddrinfo", BLOCKS),
    "from socket import gethostbyname": ("socket.gethostbyname", BLOCKS),
    "from os import waitpid": ("os.waitpid", BLOCKS),
    "from threading import Lock": ("threading.Lock", WAITS),
    "from threading import get_ident": ("threading.get_ident", IDENT),
    "from threading import local": ("threading.local", LOCAL),
    "from subprocess import Popen": ("subprocess.Popen", BLOCKS),
    "import ssl\nclass Context(ssl.SSLContext): pass": ("a class derived from ssl.SSLContext", TLS),
    "import threading\nclass Mine(threading.local): pass\nclass Other(Mine): pass":
        ("a class derived from threading.local", LOCAL),
    "import time\nclass Client:\n    sleep = time.sleep": ("time.sleep", BLOCKS),
    "import time\nclass Client:\n    sleep = staticmethod(time.sleep)": ("time.sleep", BLOCKS),
    "import threading\nclass Client:\n    lock = threading.Lock()": ("an object of threading.Lock", WAITS),
    "import functools, time\npause = functools.partial(time.sleep, 1)": ("time.sleep", BLOCKS),
    "import functools, threading\nclass Client:\n    make = functools.partial(threading.local)":
        ("threading.local", LOCAL),
    "import threading\nlock = threading.Lock()": ("an object of threading.Lock", WAITS),
    "import threading\nmine = threading.local()": ("an object of threading.local", LOCAL),
    "import threading\nclass Mine(threading.local): pass\nmine = Mine()":
        ("a class derived from threading.local and 1 more", LOCAL),
    "import threading\ncondition = threading.Condition(threading.Lock())":
        ("an object of threading.Condition", WAITS),
    "import ssl\ncontext = ssl.create_default_context()": ("an object of ssl.SSLContext", BLOCKS),
    "from time import sleep\nimport threading\nlock = threading.Lock()\nmine = threading.local()":
        ("an object of threading.local and 2 more", LOCAL),
}
if sys.implementation.name == "cpython":
    KEEPING["import queue\njobs = queue.SimpleQueue()"] = ("an object of queue.SimpleQueue", WAITS)

#: The same, for originals that only one hub replaces or keeps.
KEEPING_ON = {
    "gevent": {
        "import threading\nlock = threading.RLock()": ("an object of threading.RLock", RLOCK),
        "import threading\ncondition = threading.Condition()": ("an object of threading.Condition", RLOCK),
        **({"import threading\nclass Timer(threading.Thread): pass": ("a class derived from threading.Thread", JOIN)}
           if sys.version_info < (3, 13) else {}),
    },
    "eventlet": {"from threading import RLock": ("threading.RLock", RLOCK)},
}

#: A module with names and objects from before the patch that stay usable.
HARMLESS = """
import functools, queue, socket, ssl, signal, subprocess, threading, time
from os import close, read
from queue import LifoQueue, PriorityQueue, Queue
from signal import getsignal, signal
from socket import AF_INET, create_connection, fromfd, socketpair
from ssl import create_default_context
from subprocess import PIPE, CompletedProcess, check_output, run
from threading import BoundedSemaphore, Condition, Event, Semaphore, current_thread
from time import monotonic, time as now
jobs, stopped, started, few = Queue(), Event(), threading.Barrier(2), Semaphore(3)
class Stop(Event): pass
class Jobs(queue.Queue): pass
class Mine:
    finished = threading.Event()
    def __init__(self): self.lock = threading.Lock()
@functools.wraps(time.sleep)
def sleep(seconds): return time.sleep(seconds)
"""

#: A late patch of the master, without the warnings of the hub libraries about it.
LATE = {hub: f"import warnings\nwarnings.simplefilter('ignore')\n{row.master_patch_code}\n"
        for hub, row in HUBS.items()}

#: Modules that applications usually import.
COMMON_MODULES = (
    "asyncio", "concurrent.futures.process", "concurrent.futures.thread", "ctypes", "decimal", "email.message",
    "http.client", "http.server", "json", "logging.config", "logging.handlers", "multiprocessing.pool", "queue",
    "sched", "selectors", "smtplib", "socketserver", "sqlite3", "ssl", "subprocess", "tempfile", "threading",
    "unittest.mock", "urllib.request", "uuid", "wsgiref.simple_server", "xmlrpc.client", "zipfile",
    "flask", "flask.testing", "flask_sock", "jinja2", "psycopg2.pool", "rich.live", "trustme", "werkzeug.serving",
    "django.http", "prometheus_client", "redis", "requests", "sqlalchemy.orm", "urllib3",
)


def expected(hub: str) -> dict[str, tuple[str, str]]:
    """The expected findings, by module: what it keeps, and the impact."""
    return {f"early_{number}": finding
            for number, finding in enumerate({**KEEPING, **KEEPING_ON[hub]}.values())}


@pytest.fixture
def imports(tmp_path: Path, hub: str) -> str:
    """A configuration that imports all these modules."""
    for number, source in enumerate({**KEEPING, **KEEPING_ON[hub]}):
        (tmp_path / f"early_{number}.py").write_text(source + "\n")
    (tmp_path / "harmless.py").write_text(HARMLESS)
    return f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport harmless, {', '.join(expected(hub))}\n"


def reported(server: Server) -> dict[str, tuple[str, str]]:
    """The findings in the log, by module: what it keeps, and the impact."""
    found = {}
    for line in server.log(r"\[imported-too-early\]$", since=0):
        module, _, rest = line.partition("[WARNING] ")[2].partition(" was imported before the patch and keeps ")
        what, _, rest = rest.partition(" (imported by ")
        importer, _, rest = rest.partition("): ")
        assert importer == "gunicorn.conf.py"
        found[module] = (what, rest.partition(". Import it in")[0])
    return found


@pytest.mark.usefixtures("dnspython")
def test_imports_into_an_unpatched_master_are_reported(start: Start, hub: str, imports: str) -> None:
    assert reported(start("probe:app", config=imports)) == expected(hub)


def test_imports_before_a_late_patch_of_the_master_are_reported(start: Start, hub: str, imports: str) -> None:
    assert reported(start("probe:app", config=imports + LATE[hub])) == expected(hub)


def test_imports_after_the_patch_of_the_master_are_not_reported(start: Start, hub: str, imports: str) -> None:
    usual = ", ".join(name for name in COMMON_MODULES if importable(name.partition(".")[0]))
    server = start("probe:app", config=f"{HUBS[hub].master_patch_code}\nimport {usual}\n{imports}")
    assert reported(server) == {}
    assert server.connect().request().status == 200


def test_imports_of_the_application_are_not_reported(start: Start, tmp_path: Path, imports: str) -> None:
    usual = ", ".join(name for name in COMMON_MODULES if importable(name.partition(".")[0]))
    (tmp_path / "shop.py").write_text(f"import {usual}\n{imports}\nfrom probe import app\n")
    assert reported(start("shop:app", "--chdir", tmp_path)) == {}


def test_imports_of_post_patch_are_not_reported(start: Start, tmp_path: Path, imports: str) -> None:
    (tmp_path / "prepared.py").write_text(f"def prepare(worker):\n    {imports.replace(chr(10), chr(10) + '    ')}\n")
    server = start("probe:app", "--chdir", tmp_path, settings={"post_patch": "prepared:prepare"})
    assert reported(server) == {}


def test_nothing_is_reported_without_a_patch(start: Start, imports: str) -> None:
    assert reported(start("probe:app", config=imports, settings={"patch": ""})) == {}


def test_only_originals_of_patched_parts_are_reported(start: Start, imports: str) -> None:
    found = {what for what, _ in reported(start("probe:app", config=imports, settings={"patch": "socket"})).values()}
    assert "socket.socket" in found
    # eventlet always replaces some names in queue and threading.
    assert not found & {"time.sleep", "threading.local", "threading.Lock", "threading.get_ident", "subprocess.Popen"}


def test_names_in_the_configuration_are_reported(start: Start, hub: str) -> None:
    server = start("probe:app", config="import threading\nfrom time import sleep\n")
    (line,) = server.log(r"\[imported-too-early\]$", since=0)
    assert "gunicorn.conf.py has time.sleep from before the patch" in line
    assert line.endswith(f"; or begin gunicorn.conf.py with: {HUBS[hub].master_patch_code} [imported-too-early]")


def test_configuration_file_is_reported_by_its_name(start: Start, hub: str, tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text("from time import sleep\n")
    (tmp_path / "shop.conf").write_text(
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport early\nfrom time import sleep\n{ANNOUNCE}")
    server = start("probe:app", "-c", tmp_path / "shop.conf")
    own, other = sorted(server.log(r"\[imported-too-early\]$", since=0), key=lambda line: "imported by" in line)
    assert "shop.conf has time.sleep from before the patch" in own
    assert "(imported by shop.conf)" in other
    for line in own, other:
        assert f"; or begin shop.conf with: {HUBS[hub].master_patch_code} [" in line
        assert "gunicorn.conf.py" not in line


def test_configuration_in_a_module_is_reported(start: Start, hub: str, tmp_path: Path) -> None:
    (tmp_path / "shop_conf.py").write_text(f"from time import sleep\n{ANNOUNCE}")
    path = os.pathsep.join(filter(None, [str(APPS), str(tmp_path), os.environ.get("PYTHONPATH")]))
    server = start("probe:app", "-c", "python:shop_conf", env={"PYTHONPATH": path})
    (line,) = server.log(r"\[imported-too-early\]$", since=0)
    assert line.endswith(f"Import it in the application, not in your configuration file; or begin your configuration "
                         f"file with: {HUBS[hub].master_patch_code} [imported-too-early]")


# Behaviour. The configuration imports the module made_early, which the application uses.


@pytest.fixture
def late(start: Start) -> Server:
    return start("used_late:app", config=f"import sys\nsys.path.insert(0, {str(APPS)!r})\nimport made_early\n")


@pytest.mark.parametrize("what", ["barrier", "condition", "event", "event_class", "queue", "queue_class", "semaphore"])
@pytest.mark.sample(3)
def test_early_object_works(late: Server, what: str) -> None:
    waiting, other = late.connect(), late.connect()
    waiting.send(request(f"/wait?{what}"))
    late.wait_for_log(f"^waiting for {what}$")
    assert other.request(f"/end?{what}").status == 200
    assert waiting.receive().body == b"True"


def test_early_local_is_shared(late: Server) -> None:
    client = late.connect()
    assert client.request("/store?mine").body == b"None"
    assert late.connect().request("/store?yours").body == b"mine"


def test_early_get_ident_returns_one_value_to_all_requests(late: Server) -> None:
    waiting, other = late.connect(), late.connect()
    waiting.send(request("/identify"))
    late.wait_for_log("^identified$")
    assert other.request("/identify?end").body == waiting.receive().body


def test_early_reentrant_lock_is_held_by_several_requests(late: Server, hub: str) -> None:
    waiting, other = late.connect(), late.connect()
    waiting.send(request("/enter"))
    late.wait_for_log("^entered$")
    # eventlet replaces existing locks.
    assert other.request("/try").body == (b"True" if hub == "gevent" else b"False")
    assert other.request("/leave").status == 200
    assert waiting.receive().status == 200


def test_early_tls_fails(late: Server) -> None:
    assert late.connect().request("/connect").body == b"RecursionError"


@pytest.mark.parametrize("what", ["lock", pytest.param("simple_queue", marks=pytest.mark.skipif(
    sys.implementation.name != "cpython", reason="it is written in Python on PyPy"))])
def test_early_lock_blocks(start: Start, what: str) -> None:
    # If the stop comes before the worker is killed for its timeout, it is killed for this limit.
    server = start("used_late:app", "--timeout", 1, "--graceful-timeout", 1, config=(
        f"import sys\nsys.path.insert(0, {str(APPS)!r})\nimport made_early\n"))
    waiting = server.connect()
    waiting.send(request(f"/wait?{what}"))
    server.wait_for_log(f"^waiting for {what}$")
    server.wait_for_log("WORKER TIMEOUT")
