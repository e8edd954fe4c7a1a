"""The entries in the environ that applications for gevent.pywsgi and eventlet.wsgi use."""

from __future__ import annotations

import json
import re
import signal

import pytest

from support.client import request

pytestmark = pytest.mark.only(transport="tcp", parser="fast")
on_eventlet = pytest.mark.only(hub="eventlet")

EXPECT = ["Expect: 100-continue", "Content-Length: 6"]


@pytest.mark.every_hub
@pytest.mark.smoke
def test_environ_has_the_entries_of_the_library(serve, hub):
    found = json.loads(serve("library_environ:app").connect().request("/keys").body)
    assert found["wsgi.input_terminated"] is True
    eventlets = {"eventlet.input", "eventlet.posthooks", "eventlet.set_idle"}
    assert eventlets.intersection(found) == (eventlets if hub == "eventlet" else set())


@pytest.mark.every_hub
def test_application_closes_the_connection_as_with_gevents_server(serve):
    client = serve("library_environ:app").connect()
    response = client.request("/closing")
    assert (response.body, response.all("connection")) == (b"ok", ["close"])
    client.half_close()
    client.expect_close()


@pytest.mark.every_hub
def test_names_of_header_fields_are_sent_as_they_are(serve):
    """eventlet.wsgi sends each word of a name with a capital letter."""
    response = serve("library_environ:app").connect().request("/closing")
    assert ("x-LOWER", "1") in response.headers


@on_eventlet
def test_posthooks_are_called_after_the_response(serve):
    server = serve("library_environ:app")
    client = server.connect()
    assert client.request("/posthooks").status == 200
    server.wait_for_log(r"^posthook /posthooks \(3,\) {}$")
    assert server.log("^posthook")[0] == "posthook /posthooks (1,) {'two': 2}"
    assert client.request().status == 200


@on_eventlet
@pytest.mark.parametrize("close", [False, True])
def test_client_has_the_response_while_a_posthook_waits(serve, close):
    server = serve("library_environ:app")
    gate = server.word()
    client = server.connect()
    client.send(request(f"/waiting-posthook?{gate}", headers=["Connection: close"] if close else []))
    assert client.receive().body == b"ok"
    server.wait_for_log(f"^posthook waits for {gate}$")
    assert server.connect().request(f"/open?{gate}").status == 200
    if close:
        client.expect_close()
    else:
        assert client.request().status == 200


@on_eventlet
def test_posthook_that_fails_is_logged_and_the_next_one_is_called(serve):
    server = serve("library_environ:app")
    client = server.connect()
    assert client.request("/failing-posthook").status == 200
    server.expect_traceback("^RuntimeError: this posthook fails$")
    server.wait_for_log(r"^posthook /failing-posthook \('after it',\) {}$")
    assert client.request().status == 200


@on_eventlet
def test_posthook_of_a_failing_request_is_called(serve):
    server = serve("library_environ:app")
    assert server.connect().request("/posthook-of-a-failing-request").status == 500
    server.wait_for_log("^posthook /posthook-of-a-failing-request")
    server.expect_traceback("^RuntimeError: this request fails$")


@on_eventlet
def test_process_that_a_posthook_forks_ends_with_it(serve):
    server = serve("library_environ:app")
    client = server.connect()
    assert client.request("/forking-posthook").status == 200
    server.wait_for_log(r"^child \d+ of the posthook has ended$")
    assert client.request().status == 200


@on_eventlet
def test_100_responses_have_header_fields(serve):
    client = serve("library_environ:app").connect()
    client.send(request("/continued", method="POST", headers=EXPECT))
    assert client.receive_once() == b"HTTP/1.1 100 Continue\r\nX-Step: 1\r\n\r\n"
    client.send(b"abc")
    assert client.receive_once() == b"HTTP/1.1 100 Continue\r\nx-step: 2\r\n\r\n"
    client.send(b"def")
    assert client.receive().body == b"abc,def"
    assert client.request().status == 200


@on_eventlet
def test_no_100_response_for_a_client_that_expects_none(serve):
    client = serve("library_environ:app").connect()
    response = client.request("/continued", method="POST", body=b"abcdef")
    assert (response.body, response.interim) == (b"abc,def", [])


@on_eventlet
def test_no_100_response_after_the_request(serve):
    client = serve("library_environ:app").connect()
    client.send(request("/keeps-body", method="POST", headers=EXPECT))
    assert client.receive_once().startswith(b"HTTP/1.1 100 ")
    client.send(b"abcdef")
    assert client.receive().body == b"abcdef"
    response = client.request("/continues-previous-body")
    assert (response.body, response.interim) == (b"abcdef", [])


@on_eventlet
def test_invalid_field_of_a_100_response_is_refused(serve):
    client = serve("library_environ:app").connect()
    assert client.request("/invalid-field", method="POST", body=b"abcdef").body == b"refused"


@on_eventlet
@pytest.mark.parametrize(("minimum", "sizes"), [(0, [3] * 5), (1, [3] * 5), (4, [6, 6, 3]), (100, [15])])
def test_minimum_write_chunk_size_joins_parts(serve, minimum, sizes):
    client = serve("library_environ:app").connect()
    client.send(request(f"/chunks?{minimum}", headers=["Connection: close"]))
    body = client.read_to_end().partition(b"\r\n\r\n")[2]
    assert [int(size, 16) for size in re.findall(rb"^([0-9a-f])\r\n\d", body, re.MULTILINE)] == sizes
    assert body.endswith(b"\r\n0\r\n\r\n")


@on_eventlet
def test_eventlet_input_is_the_body_whatever_is_in_wsgi_input(serve):
    client = serve("library_environ:app").connect()
    assert json.loads(client.request("/lines", method="POST", body=b"one\ntwo").body) == ["one\n", "two"]
    assert json.loads(client.request("/lines").body) == [""]


@on_eventlet
def test_eventlet_input_has_the_socket(serve):
    client = serve("library_environ:app").connect()
    assert int(client.request("/socket").body) == client.sock.getsockname()[1]
    assert client.request().status == 200


@on_eventlet
def test_entry_works_in_the_greenlet_of_the_request_only(serve):
    assert b"in the greenlet of a request only" in serve("library_environ:app").connect().request("/elsewhere").body


@on_eventlet
def test_drain_ends_an_idle_request_and_waits_for_others(start):
    server = start("library_environ:app")
    gate = server.word()
    idle, busy, reset, opener = (server.connect() for _ in range(4))
    # A request that has ended is not idle any more.
    assert reset.request("/idle-once").status == 200
    reset.send(request(f"/busy?{gate}"))
    idle.send(request("/idle"))
    busy.send(request(f"/busy?{gate}"))
    server.wait_for_log("^idle request waits$")
    server.wait_for_log("^busy request waits$", count=2)
    server.signal(signal.SIGTERM)
    server.wait_for_log("^idle request has received b''$")
    idle.expect_close()
    assert opener.request(f"/open?{gate}").status == 200
    assert (busy.receive().body, reset.receive().body) == (b"complete", b"complete")
    assert server.wait_for_exit() == 0
