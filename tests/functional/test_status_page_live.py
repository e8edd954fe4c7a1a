"""The status page in a real Chromium, of a real Gunicorn: under load, with a blocked worker and during a reload."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from support.client import Client, request
from support.status import ON

pytestmark = [pytest.mark.only(transport="tcp", parser="fast"),
              pytest.mark.slow]

#: Workers wait at their boot while this file exists.
CONFIG = """
import os, time
def post_worker_init(worker):
    while os.path.exists("hold"):
        time.sleep(0.01)
"""
PATHS = "[...document.querySelectorAll('#in-flight tbody tr')].map((row) => row.children[4].innerText)"
RATE = "document.getElementById('requests-chart').innerText.match(/all workers ([\\d.]+)/)"


@pytest.fixture
def server(start, browser):
    """With two workers, and their page in the browser."""
    server = start("blocking:app", "--graceful-timeout", 1, workers=2, config=CONFIG, settings=ON)
    browser.open(server.wait_for_log(r"Status at: (http://\S+)$", since=0)[1])
    browser.until("document.querySelectorAll('#workers tbody tr').length === 2")
    yield server
    browser.leave()
    assert browser.problems == []


class Load:
    """Clients that send short requests one after the other, on connections of their own, until the context ends."""

    def __init__(self, server, clients=4):
        self._server = server
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self):
        while not self._ended.is_set():
            client = Client.connect(self._server.address)
            try:
                assert client.request("/wait?0.01").status == 200
            finally:
                client.close()


def test_page_shows_load(server, browser):
    pids = set(map(str, server.worker_pids()))
    slow = server.connect()
    slow.send(request("/wait?600"))
    with Load(server):
        browser.until(f"{PATHS}.includes('/wait')")
        browser.until(f"Number({RATE}?.[1]) > 5")
        browser.until("/median \\d+ ms/.test(document.getElementById('latency-chart').innerText)")
        rows = browser.rows("workers")
    assert {row["PID"] for row in rows} == pids
    assert sorted(row["Worker"] for row in rows) == ["1", "2"]
    assert {row["State"] for row in rows} == {"●ready"}
    oldest = browser.rows("in-flight")[0]
    assert (oldest["Method"], oldest["Path"], oldest["State"]) == ("GET", "/wait", "○waiting")
    assert oldest["Peer"].startswith("127.0.0.1")
    browser.evaluate("document.querySelector('#in-flight summary').click()")
    assert "in app" in browser.text("#in-flight pre")
    assert browser.text("#state") == "Serving, generation 1, 2 workers."
    assert [row for row in browser.rows("workers") if row["Memory"].endswith("MiB")]
    slow.close()


def test_page_shows_a_blocked_worker_while_it_is_blocked(server, browser):
    client = server.connect()
    fifo = server.directory / "fifo"
    os.mkfifo(fifo)
    client.send(request("/open_fifo"))
    browser.until("/is blocked/.test(document.getElementById('state').innerText)")
    states = sorted(row["State"] for row in browser.rows("workers"))
    assert states[0].startswith("■ready, blocked for ")
    assert states[1] == "●ready"
    assert "in open_fifo" in browser.until("document.querySelector('#blocks pre')?.textContent")
    assert browser.rows("blocks")[0]["Blocked for"].endswith(" s, not ended")
    fifo.write_bytes(b"")
    assert client.receive().body == b"ok"
    browser.until("!/is blocked/.test(document.getElementById('state').innerText)")
    row, = browser.rows("blocks")
    assert "in open_fifo" in row["Stack"]
    assert "not ended" not in row["Blocked for"]
    assert "/open_fifo" in row["Request"]


def test_page_shows_a_reload(server, browser):
    old = set(map(str, server.worker_pids()))
    hold = server.directory / "hold"
    hold.touch()
    with Load(server):
        server.signal(signal.SIGHUP)
        browser.until("/^Reloading, generation 2, /.test(document.getElementById('state').innerText)")
        browser.until("/booting/.test(document.getElementById('workers').innerText)")
        assert {row["PID"] for row in browser.rows("workers") if row["State"] == "●ready"} == old
        hold.unlink()
        browser.until("document.querySelectorAll('#reloads tbody tr').length === 1 "
                      "&& /^Serving, generation 2, 2 workers/.test(document.getElementById('state').innerText)")
    assert not old & {row["PID"] for row in browser.rows("workers")}
    assert {row["Generation"] for row in browser.rows("workers")} == {"2"}
    reload, = browser.rows("reloads")
    assert (reload["Outcome"], reload["Generation"]) == ("✓done", "2")


def test_page_shows_a_refused_reload(server, browser):
    (server.directory / "gunicorn.conf.py").write_text("1 / 0\n")
    server.signal(signal.SIGHUP)
    browser.until("document.querySelectorAll('#reloads tbody tr').length === 1")
    reload, = browser.rows("reloads")
    assert reload["Outcome"] in ("✗refused", "✗failed")
    assert browser.text("#state") == "Serving, generation 1, 2 workers."
    server.expect_traceback("ZeroDivisionError")
