"""The status page in a real Chromium: what it shows of a state that the test writes."""

from __future__ import annotations

import json
import time

import pytest

from gworkers.status import changes, page_files
from support.status_address import STACK, StatusAddress, histogram, request_in_flight, state, worker
from support.waiting import until

EVIL = "/\u202e\x1b[2J<img src=x onerror=alert(1)><script>alert(2)</script>"
SHOWS_WORKERS = "document.querySelectorAll('#workers tbody tr').length === {}"


@pytest.fixture
def page(browser):
    """``page(state)``: a status address with that state, after the browser has shown it."""
    opened = []

    def open_page(shown):
        address = StatusAddress(shown)
        address.__enter__()
        opened.append(address)
        browser.open(f"http://{address.address}/")
        browser.until(SHOWS_WORKERS.format(len(shown["workers"])))
        return address

    yield open_page
    browser.leave()
    for address in opened:
        address.__exit__(None, None, None)


def test_worker_has_a_row(browser, page):
    page(state(worker(1, in_flight=3, overdue=1), worker(2, phase="retiring", pid=77)))
    first, second = browser.rows("workers")
    assert first == {
        "Worker": "1", "State": "●ready", "PID": "4101", "Generation": "1", "Age": "61.0 s", "Memory": "50 MiB",
        "Requests/s": first["Requests/s"], "In flight": "3", "Overdue": "1", "Connections": "7", "Lag p99": "4.0 ms",
        "Lag max": "20 ms"}
    assert (second["State"], second["PID"]) == ("◐retiring", "77")
    assert browser.text("#state") == "Serving, generation 1, 2 workers."
    assert browser.problems == []


def test_page_loads_nothing_from_elsewhere(browser, page):
    address = page(state(worker()))
    assert {url.rpartition("/")[0] for url in browser.requested if not url.startswith("data:")} == {
        f"http://{address.address}"}
    assert {"/" + url.rpartition("/")[2] for url in browser.requested} >= page_files.FILES.keys()


def test_blocked_and_silent_workers_stand_out_in_words(browser, page):
    address = page(state(worker(1, blocked=2.34), worker(2, published=8.0), worker(3)))
    rows = browser.rows("workers")
    assert [row["State"] for row in rows] == [
        "■ready, blocked for 2.3 s", "▲ready, no report for 8.0 s", "●ready"]
    assert browser.text("#state") == ("Serving, generation 1, 3 workers. Worker 1 (PID 4101) is blocked. "
                                      "Worker 2 (PID 4102) does not report.")
    assert browser.evaluate("document.querySelectorAll('#workers tr.marked').length") == 2
    address.state["workers"][0]["blocked"] = 0
    browser.until("document.querySelectorAll('#workers tr.marked').length === 1")


def test_requests_are_sorted_by_age_and_keep_their_open_stack(browser, page):
    address = page(state(worker(1, published=0.0, in_flight_requests=[
        request_in_flight("/young", age=0.5), request_in_flight("/old", age=70.0, state="overdue")])))
    assert [(row["Path"], row["Age"], row["State"]) for row in browser.rows("in-flight")] == [
        ("/old", "70.0 s", "▲overdue"), ("/young", "500 ms", "○waiting")]
    assert browser.rows("in-flight")[0]["Stack"] == "/srv/shop/payments.py:34 in pay"
    browser.evaluate("document.querySelector('#in-flight tbody tr:nth-child(2) summary').click()")
    address.state["workers"][0]["in_flight_requests"].insert(0, request_in_flight("/middle", age=3.0))
    browser.until("document.querySelectorAll('#in-flight tbody tr').length === 3")
    assert browser.evaluate("[...document.querySelectorAll('#in-flight details')].map((each) => each.open)") == [
        False, False, True]
    assert browser.text("#in-flight tr:nth-child(3) pre") == STACK.rstrip()


def test_text_from_requests_stays_text(browser, page):
    page(state(worker(1, in_flight_requests=[request_in_flight(EVIL, method=EVIL, peer=EVIL, stack=EVIL)]),
               blocks=[{"at": time.time(), "seconds": 2.0, "worker": 1, "pid": 1, "place": EVIL, "request": EVIL,
                        "stack": EVIL}]))
    escaped = EVIL.replace("\u202e", "\\u{202e}").replace("\x1b", "\\u{1b}")
    row, = browser.rows("in-flight")
    block, = browser.rows("blocks")
    assert {row["Method"], row["Path"], row["Peer"], row["Stack"], block["Place"], block["Request"]} == {escaped}
    assert browser.evaluate("document.querySelectorAll('main img, main script').length") == 0
    assert browser.problems == []


def test_blocks_and_reloads_are_listed_newest_first(browser, page):
    at = 1_700_000_000.0
    page(state(
        worker(),
        blocks=[{"at": at + each, "seconds": 2.0 + each, "worker": 1, "pid": 4101, "place": f"views.py:{each} in total",
                 "request": "GET /total from 192.0.2.7", "stack": STACK} for each in range(3)],
        reloads=[{"at": at, "generation": 2, "outcome": "done", "seconds": 1.5},
                 {"at": at + 1, "generation": 2, "outcome": "refused", "seconds": 0.5}]))
    assert [row["Place"] for row in browser.rows("blocks")] == [f"views.py:{each} in total" for each in (2, 1, 0)]
    assert browser.rows("reloads") == [
        {"At": "22:13:21", "Outcome": "✗refused", "Generation": "2", "Took": "500 ms"},
        {"At": "22:13:20", "Outcome": "✓done", "Generation": "2", "Took": "1.5 s"}]


def test_charts_show_rates_and_quantiles(browser, page):
    address = page(state(worker(1, requests=0)))
    address.state["workers"][0]["requests"] = 50
    address.state["totals"]["requests"]["2xx"] += 50
    address.state["request_time"] = histogram(0, 49, 0, 1, 0)
    address.state["lag"] = histogram(100, 0, 0, 0, 0)
    browser.until("/all workers [1-9]/.test(document.getElementById('requests-chart').innerText)")
    requests, latency, lag = browser.names("image")
    assert requests.startswith("Requests per second, now: all workers ")
    assert latency.startswith("Request time, now: median 5.6 ms, p99 ")
    assert lag.startswith("Hub lag, now: median 0.5 ms, p99 1.0 ms, blocked now 0 s.")
    browser.until("document.querySelector('#requests-chart path').getAttribute('d').includes('L')")
    assert float(browser.rows("workers")[0]["Requests/s"]) > 0


def test_lost_address_is_reported_and_recovers(browser, page):
    address = page(state(worker()))
    address.status = 503
    browser.until("!document.getElementById('problem').hidden")
    assert browser.text("#problem").endswith(": status 503. The figures below are old.")
    address.status = 200
    browser.until("document.getElementById('problem').hidden")


def test_new_server_starts_new_charts(browser, page):
    address = page(state(worker()))
    browser.until("document.querySelector('#requests-chart path').getAttribute('d').includes('L')")
    address.state["server"].update(pid=1, started=address.state["server"]["started"] + 60)
    address.state["totals"]["requests"] = {"2xx": 0}
    browser.until("!document.querySelector('#requests-chart path').getAttribute('d').includes('L')")


def test_paused_page_keeps_its_figures(browser, page):
    address = page(state(worker(1, rss=10 << 20), worker(2)))
    browser.evaluate("document.getElementById('pause').click()")
    asked = len(browser.requested)
    address.state["workers"].pop()
    until(lambda: browser.evaluate("1") and len(browser.requested) >= asked + 3, "more polls")
    assert len(browser.rows("workers")) == 2
    browser.evaluate("document.getElementById('pause').click()")
    browser.until(SHOWS_WORKERS.format(1))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_page_does_not_scroll_sideways(browser, page, scheme):
    long = "/" + "a" * 500
    stack = f"{long}:1 in f"
    page(state(worker(1, in_flight_requests=[request_in_flight(long, stack=stack)]), worker(2),
               blocks=[{"at": 1.0, "seconds": 2.0, "worker": 1, "pid": 1, "place": long, "request": long,
                        "stack": STACK}]))
    browser.prefer(scheme)
    browser.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    browser.resize(320, 640)
    try:
        assert browser.evaluate("document.documentElement.scrollWidth") == 320
        assert "Hub lag" in browser.text("main")
        label = browser.evaluate("getComputedStyle(document.querySelector('#workers td'), '::before').content")
        assert label == '"State"'
        assert low_contrasts(browser) == []
        # The roles of the tables remain although CSS lays them out as blocks.
        assert len(browser.names("table")) == 3
        assert "Memory" in browser.names("columnheader")
    finally:
        browser.resize(1280, 900)


def low_contrasts(browser):
    """Texts whose contrast with their background is below 4.5, as WCAG 2.2 AA requires."""
    return browser.evaluate("""(() => {
        const parse = (text) => text.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
            .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        const back = (element) => {
            for (; element; element = element.parentElement) {
                const colour = parse(getComputedStyle(element).backgroundColor);
                if (colour[3] !== 0) return colour;
            }
            return [255, 255, 255];
        };
        return [...document.querySelectorAll('body *')]
            .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
            .map((each) => {
                const lights = [light(parse(getComputedStyle(each).color)), light(back(each))];
                const ratio = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
                return [each.tagName, each.textContent.slice(0, 30), ratio];
            }).filter(([,, ratio]) => ratio < 4.5);
    })()""")


def test_headings_and_tables_have_names(browser, page):
    page(state(worker(1, in_flight_requests=[request_in_flight()]),
               reloads=[{"at": 1.0, "generation": 2, "outcome": "done", "seconds": 1.5}]))
    assert browser.names("heading") == ["gworkers", "Server", "The last two minutes", "Workers", "Requests in flight",
                                        "Blocks", "Reloads", "Totals since the start"]
    assert browser.names("table") == ["Workers, one row per process", "Requests in flight, the oldest first",
                                      "The last reloads, the newest first"]
    assert browser.evaluate("document.getElementById('state').getAttribute('role')") == "status"


@pytest.mark.parametrize("counts", [(0, 0, 0, 0, 0), (5, 0, 0, 0, 0), (1, 90, 8, 1, 0), (0, 0, 0, 1, 50)])
@pytest.mark.parametrize("q", [0.5, 0.99])
def test_page_and_top_compute_the_same_quantiles(browser, page, counts, q):
    page(state(worker()))
    shown = histogram(*counts)
    value = browser.evaluate("import('/figures.js').then((figures) => figures.quantile("
                             f"[...{json.dumps(shown['buckets'])}, [Infinity, {shown['count']}]], {q}))")
    expected = changes.quantile([*map(tuple, shown["buckets"]), (float("inf"), shown["count"])], q)
    assert value == (expected and pytest.approx(expected))
