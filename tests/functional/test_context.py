"""Each request has its own context. Thread-locals depend on the setting ``request_greenlets``."""

from __future__ import annotations

import json

import pytest

from support.client import chunked, request

AT_START = """
def post_worker_init(worker):
    import contexts
    contexts.at_start.set("set at start")
"""

GREENLETS = pytest.mark.parametrize("greenlets", ["reused", "fresh"])


def stage(site, greenlets):
    return site("contexts", settings={"request_greenlets": greenlets}, config=AT_START)


def seen(client, target="/mark?mine", **more):
    response = client.request(target, **more)
    assert response.status == 200
    return json.loads(response.body)


@GREENLETS
@pytest.mark.smoke
def test_next_request_does_not_see_context_variables(site, greenlets):
    client = stage(site, greenlets).connect()
    for number in range(5):
        assert seen(client, f"/mark?{number}")["left"] == "nothing"


@GREENLETS
def test_request_with_a_body_leaves_no_context_variables(site, greenlets):
    client = stage(site, greenlets).connect()
    for _ in range(3):
        assert seen(client, method="POST", body=b"x" * 10000)["left"] == "nothing"
        client.send(request("/mark?mine", method="POST", headers=["Transfer-Encoding: chunked"], body=chunked(b"a")))
        assert json.loads(client.receive().body)["left"] == "nothing"


@GREENLETS
def test_pipelined_request_does_not_see_context_variables(site, greenlets):
    client = stage(site, greenlets).connect()
    targets = ["/mark?a", "/mark-parts", "/mark?b", "/mark-start?c"] * 10
    client.send(b"".join(request(target) for target in targets))
    for target in targets:
        before = json.loads(client.receive().body)
        assert (before["left"], before["at_start"]) == ("nothing", "set at start"), target


@GREENLETS
@pytest.mark.smoke
def test_generator_leaves_no_context_variables(site, greenlets):
    client = stage(site, greenlets).connect()
    for target in ("/mark-parts", "/mark?mine") * 3:
        assert seen(client, target)["left"] == "nothing"


@GREENLETS
def test_response_is_iterated_in_the_context_of_its_call(site, greenlets):
    client = stage(site, greenlets).connect()
    for _ in range(2):
        assert client.request("/seen-by-parts").body == b"in the call" * 2


@GREENLETS
def test_error_leaves_no_context_variables(site, greenlets):
    server = stage(site, greenlets)
    for _ in range(3):
        assert server.connect().request("/mark-error").status == 500
        server.expect_traceback("LookupError: deliberate")
        assert seen(server.connect())["left"] == "nothing"


@GREENLETS
def test_disconnect_leaves_no_context_variables(site, greenlets):
    server = stage(site, greenlets)
    for count in (1, 2, 3):
        client = server.connect()
        client.send(request("/mark-exit"))
        assert client.receive_once()
        client.reset()
        server.wait_for_log("^client left$", count=count)
        assert seen(server.connect())["left"] == "nothing"


@GREENLETS
@pytest.mark.smoke
def test_every_request_sees_variables_set_at_start(site, greenlets):
    server = stage(site, greenlets)
    for _ in range(3):
        client = server.connect()
        for target in ("/mark-start?changed", "/mark?mine", "/mark-parts"):
            assert seen(client, target)["at_start"] == "set at start"


@GREENLETS
@pytest.mark.smoke
def test_concurrent_requests_see_their_own_variables(site, greenlets):
    """All requests set a variable, then wait until the others have done so, then read it."""
    server = stage(site, greenlets)
    clients = {f"name{number}": server.connect() for number in range(100)}
    gate = server.word()
    for name, client in clients.items():
        client.send(request(f"/hold?{name}&{gate}"))
    server.wait_for_log("^holding name", count=100)
    assert seen(server.connect())["left"] == "nothing"
    server.connect().request(f"/open?{gate}")
    for name, client in clients.items():
        result = json.loads(client.receive().body)
        assert (result["left"], result["held"]) == ("nothing", [name] * 3)
    for client in clients.values():
        assert seen(client)["left"] == "nothing"


def test_reused_greenlet_keeps_its_thread_locals(site):
    """Like a thread in a pool, so a database connection in a thread-local is used again."""
    server = stage(site, "reused")
    client = server.connect()
    seen(client, "/mark?first")
    before = seen(client, "/mark?second")
    assert (before["local"], before["left"]) == ("first", "nothing")
    assert seen(server.connect())["local"] == "second"


def test_fresh_greenlet_has_no_thread_locals(site):
    server = stage(site, "fresh")
    client = server.connect()
    for connection in (client, client, server.connect()):
        before = seen(connection, "/mark?mine")
        assert (before["local"], before["left"]) == ("nothing", "nothing")
    client.send(request("/mark?mine") * 10)
    assert [json.loads(client.receive().body)["local"] for _ in range(10)] == ["nothing"] * 10


@pytest.mark.smoke
def test_concurrent_requests_do_not_share_thread_locals(site):
    server = stage(site, "reused")
    one, other = server.connect(), server.connect()
    gate, name, other_name = server.word(), server.word(), server.word()
    one.send(request(f"/hold?{name}&{gate}"))
    server.wait_for_log(f"^holding {name}$")
    other.send(request(f"/hold?{other_name}&{gate}"))
    server.wait_for_log(f"^holding {other_name}$")
    server.connect().request(f"/open?{gate}")
    assert json.loads(one.receive().body)["held"] == [name] * 3
    before = json.loads(other.receive().body)
    assert before["held"] == [other_name] * 3
    assert before["local"] != name
