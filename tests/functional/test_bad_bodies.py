"""Request bodies that are malformed or cut short: an error in the application, one log line, and no second request."""

from __future__ import annotations

import pytest

from support.client import ClosedError, chunked, request

CHUNKED = ["Transfer-Encoding: chunked"]
SMUGGLED = request("/say?smuggled")

CHUNKS = [
    # sizes
    b"\r\n", b"x\r\n", b"g\r\nhello\r\n", b"-5\r\nhello\r\n", b"+5\r\nhello\r\n", b"0x5\r\nhello\r\n",
    b"5_0\r\nhello\r\n", b" 5\r\nhello\r\n", b"5 \r\nhello\r\n", b"5\t\r\nhello\r\n", b"5\x0b\r\nhello\r\n",
    b"\xb5\r\nhello\r\n", b"5h\r\nhello\r\n", b"5,5\r\nhello\r\n", b"5\0\r\nhello\r\n", b"0 \r\n\r\n", b"00x0\r\n\r\n",
    b"0" * 10000 + b"\r\n\r\n", b"5" * 10000,
    # line ends
    b"5\nhello\n0\n\n", b"5\nhello\r\n0\r\n\r\n", b"5\rhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n", b"5\r\nhello\r0\r\n\r\n", b"5\r\nhello\r\r\n0\r\n\r\n", b"5\r\nhello \r\n0\r\n\r\n",
    b"4\r\nhello\r\n0\r\n\r\n", b"6\r\nhello\r\n0\r\n\r\n", b"0\n\r\n", b"0\r\n\n", b"0\r\n\r\r\n",
    # extensions
    b"5;\r\nhello\r\n", b"5;;a\r\nhello\r\n", b"5;=v\r\nhello\r\n", b"5;a=\r\nhello\r\n", b'5;a="v\r\nhello\r\n',
    b"5;a b\r\nhello\r\n", b"5;a\rb\r\nhello\r\n", b"5;a\nb\r\nhello\r\n", b"5;a\0\r\nhello\r\n",
    b"5;a=b c\r\nhello\r\n", b"5;" + b"x" * 10000 + b"\r\nhello\r\n", b"5;" + b"x" * 10000,
]

TRAILERS = [
    b"Name\r\n", b": value\r\n", b"Name : value\r\n", b" Name: value\r\n", b"Na me: value\r\n", b"Name: a\0b\r\n",
    b"Name: a\rb\r\n", b"Name: value\n", b"Name: value\nOther: value\r\n", b"Name: value\r\n folded\r\n",
    b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: other\r\n", b"Trailer: x\r\n",
    b"Authorization: x\r\n", b"TE: x\r\n", b"Name_: value\r\n",
]


def refused(server, path, body):
    """The status of the only answer; only one line was logged, and nobody came through."""
    client = server.connect()
    client.send(request(path, method="POST", headers=CHUNKED, body=body) + SMUGGLED)
    client.half_close()
    status = client.receive().status
    client.expect_close()
    assert len(server.whole_log("Invalid request from ip=")) == 1
    assert server.log("^smuggled$") == []
    assert server.connect().request("/ignored").body == b"not read"
    return status


@pytest.mark.parametrize("body", CHUNKS, ids=lambda body: repr(body[:30]))
@pytest.mark.sample(15)
def test_bad_chunk_is_an_error_for_the_application(serve, body):
    assert refused(serve("bodies:app"), "/echo", body) == 400


@pytest.mark.parametrize("body", CHUNKS, ids=lambda body: repr(body[:30]))
@pytest.mark.sample(15)
def test_bad_chunk_behind_good_ones(serve, body):
    server = serve("bodies:app")
    assert refused(server, "/caught", b"3\r\ngot\r\n" + body) == 400
    server.wait_for_log("body failed: .* after b'got")


@pytest.mark.parametrize("body", CHUNKS, ids=lambda body: repr(body[:30]))
@pytest.mark.sample(15)
def test_bad_chunk_that_the_application_leaves_unread(serve, body):
    assert refused(serve("bodies:app"), "/ignored", b"3\r\ngot\r\n" + body) == 200


@pytest.mark.parametrize("trailers", TRAILERS, ids=repr)
@pytest.mark.parametrize("path", ["/echo", "/ignored"])
@pytest.mark.sample(12)
def test_bad_trailer(serve, trailers, path):
    status = refused(serve("bodies:app", "--header-map", "refuse"), path, b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n")
    assert status == {"/echo": 400, "/ignored": 200}[path]


@pytest.mark.parametrize("trailers", [
    b"".join(b"X-%d: y\r\n" % number for number in range(200)), b"X-Long: " + b"y" * 9000 + b"\r\n",
    b"X-Long: " + b"y" * 2000000,
], ids=len)
def test_too_many_trailers(serve, trailers):
    assert refused(serve("bodies:app"), "/echo", b"0\r\n" + trailers + b"\r\n") == 431


def bodies():
    yield "length", request("/caught", method="POST", body=b"hello"), 5
    body = b"2;name=value\r\nhe\r\n3\r\nllo\r\n0\r\nX-Trailer: yes\r\n\r\n"
    yield "chunked", request("/caught", method="POST", headers=CHUNKED, body=body), len(body)


@pytest.mark.parametrize(("data", "size"), [case[1:] for case in bodies()], ids=[case[0] for case in bodies()])
@pytest.mark.parametrize("leave", ["half_close", "close", "reset"])
def test_truncated_at_every_byte(serve, data, size, leave):
    """The application is told, however much of the body was there."""
    server = serve("bodies:app")
    for missing in range(size, 0, -1):
        client = server.connect()
        client.send(data[:len(data) - missing])
        if leave == "half_close":
            client.half_close()
            response = client.receive()
            assert (response.status, response.body[:12]) == (400, b"failed after")
            client.expect_close()
        else:
            client.wait_until_read()
            getattr(client, leave)()
    server.wait_for_log("^body failed: ", count=size)
    assert len(server.whole_log("Invalid request from ip=")) == size
    assert len(server.log("^body failed: ")) == size
    assert server.log("whole: ") == []


def test_answer_after_a_failed_body_says_that_it_is_the_last(serve):
    client = serve("bodies:app").connect()
    client.send(request("/caught", method="POST", headers=["Content-Length: 5"]) + b"hell")
    client.half_close()
    response = client.receive()
    assert (response.body, response.header("connection")) == (b"failed after hell", "close")
    client.expect_close()


@pytest.mark.parametrize(("data", "size"), [case[1:] for case in bodies()], ids=[case[0] for case in bodies()])
@pytest.mark.smoke
def test_truncated_for_an_application_that_does_not_look(serve, data, size):
    server = serve("bodies:app")
    for missing in range(size, 0, -1):
        client = server.connect()
        client.send(data.replace(b"/caught", b"/digest")[:len(data) - missing])
        client.half_close()
        assert client.receive().status == 400
        client.expect_close()
    assert len(server.whole_log("Invalid request from ip=")) == size


@pytest.mark.smoke
def test_error_stays_an_error(serve):
    """An application that reads on after an error does not get the rest as if nothing had happened."""
    server = serve("bodies:app")
    client = server.connect()
    client.send(request("/twice", method="POST", headers=CHUNKED, body=b"3\r\ngot\r\nnone\r\n") + chunked(b"more"))
    assert client.receive().body == b"Refusal Refusal"
    client.expect_close()
    assert len(server.whole_log("Invalid request from ip=")) == 1


def test_answer_before_a_bad_body_is_whole(serve):
    """The head has gone out: all that is left is to end the connection."""
    server = serve("bodies:app")
    client = server.connect()
    client.send(request("/after-head", method="POST", headers=CHUNKED, body=b"none\r\n") + SMUGGLED)
    with pytest.raises(ClosedError):
        client.receive()
    assert len(server.whole_log("Invalid request from ip=")) == 1
    assert server.log("^smuggled$") == []
