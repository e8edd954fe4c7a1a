"""The head of a response and its first part are sent in one system call."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

#: A class for accepted sockets that logs each call that sends data.
COUNTING = """
import _socket
from os import write

def log(name, size):
    # Before the call, so that the line is there when the client has the response.
    write(2, b"%s of %d bytes\\n" % (name.encode(), size))

def post_worker_init(worker):
    class Counting(_socket.socket):
        def send(self, data, *flags):
            log("send", len(data))
            return super().send(data, *flags)

        def sendall(self, data, *flags):
            log("sendall", len(data))
            return super().sendall(data, *flags)

        def sendto(self, data, *more):
            log("sendto", len(data))
            return super().sendto(data, *more)

        def sendmsg(self, buffers, *more):
            log("sendmsg", sum(map(len, buffers)))
            return super().sendmsg(buffers, *more)

    _socket.socket = Counting
"""


def calls(server, target, version="1.1"):
    """The response, and the number of bytes that the worker passed to each call."""
    response = server.connect().request(target, version=version)
    assert response.status == 200
    sizes = [int(re.search(r"of (\d+)", line)[1]) for line in server.whole_log("^send")]
    return response, sizes[:-1]  # The last one answered whole_log's own request.


@pytest.mark.parametrize("target", ["/one", "/nothing", "/large?10240"])
@pytest.mark.smoke
def test_small_response_of_one_part_is_one_call(serve, target):
    response, sizes = calls(serve("responses:app", config=COUNTING), target)
    assert sizes == [len(response.head) + len(response.body)]


def test_first_part_with_content_length_is_sent_with_the_head(serve):
    response, sizes = calls(serve("responses:app", config=COUNTING), "/measured")
    assert (response.framing, response.body) == ("length", b"one,two,three")
    assert sizes == [len(response.head) + len("one,"), len("two,"), len("three")]


@pytest.mark.smoke
def test_first_chunk_is_sent_with_the_head(serve):
    response, sizes = calls(serve("responses:app", config=COUNTING), "/several")
    assert response.chunks == [b"one,", b"two,", b"three"]
    assert sizes == [len(response.head) + len("4\r\none,\r\n"), len("4\r\ntwo,\r\n"), len("5\r\nthree\r\n"),
                     len("0\r\n\r\n")]


def test_first_part_until_the_close_is_sent_with_the_head(serve):
    response, sizes = calls(serve("responses:app", config=COUNTING), "/several", version="1.0")
    assert response.framing == "close"
    assert sizes == [len(response.head) + len("one,"), len("two,"), len("three")]


def test_first_part_of_a_generator_is_sent_with_the_head(serve):
    server = serve("responses:app", config=COUNTING)
    gate = server.word()
    assert server.connect().request(f"/open?{gate}").status == 200
    server.begin()
    response, sizes = calls(server, f"/streamed?{gate}")
    assert response.chunks == [b"first", b"second"]
    assert sizes == [len(response.head) + len("5\r\nfirst\r\n"), len("6\r\nsecond\r\n"), len("0\r\n\r\n")]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.smoke
def test_large_first_part_is_sent_with_the_head(serve, version):
    """The kernel may accept only a part of it."""
    response, sizes = calls(serve("responses:app", config=COUNTING), "/large?102400", version=version)
    assert len(response.body) == 102400
    assert sizes[0] == len(response.head) + 102400
    assert len(sizes) <= 4


def test_large_first_chunk_is_sent_with_the_head(serve):
    response, sizes = calls(serve("responses:app", config=COUNTING), "/large-parts?131072")
    assert [len(chunk) for chunk in response.chunks] == [65536, 65536]
    assert sizes[0] == len(response.head) + len("10000\r\n\r\n") + 65536
