"""An answer's head never goes out alone: its first part leaves with it, in one system call."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

#: Accepted sockets are made from this class, so that each of their calls that sends is told.
COUNTING = """
import _socket
from os import write

def tell(name, size):
    # Before the call, so that nobody has an answer that was not told.
    write(2, b"%s of %d bytes\\n" % (name.encode(), size))

def post_worker_init(worker):
    class Counting(_socket.socket):
        def send(self, data, *flags):
            tell("send", len(data))
            return super().send(data, *flags)

        def sendall(self, data, *flags):
            tell("sendall", len(data))
            return super().sendall(data, *flags)

        def sendto(self, data, *more):
            tell("sendto", len(data))
            return super().sendto(data, *more)

        def sendmsg(self, buffers, *more):
            tell("sendmsg", sum(map(len, buffers)))
            return super().sendmsg(buffers, *more)

    _socket.socket = Counting
"""


def calls(server, target, version="1.1"):
    """The answer, and how many bytes the worker wanted to send with each call."""
    response = server.connect().request(target, version=version)
    assert response.status == 200
    sizes = [int(re.search(r"of (\d+)", line)[1]) for line in server.whole_log("^send")]
    return response, sizes[:-1]  # The last one answered whole_log's own request.


@pytest.mark.parametrize("target", ["/one", "/nothing", "/large?10240"])
@pytest.mark.smoke
def test_small_answer_of_one_part_is_one_call(serve, target):
    response, sizes = calls(serve("responses:app", config=COUNTING), target)
    assert sizes == [len(response.head) + len(response.body)]


def test_first_part_of_several_with_their_length(serve):
    response, sizes = calls(serve("responses:app", config=COUNTING), "/measured")
    assert (response.framing, response.body) == ("length", b"one,two,three")
    assert sizes == [len(response.head) + len("one,"), len("two,"), len("three")]


@pytest.mark.smoke
def test_first_part_of_several_in_chunks(serve):
    response, sizes = calls(serve("responses:app", config=COUNTING), "/several")
    assert response.chunks == [b"one,", b"two,", b"three"]
    assert sizes == [len(response.head) + len("4\r\none,\r\n"), len("4\r\ntwo,\r\n"), len("5\r\nthree\r\n"),
                     len("0\r\n\r\n")]


def test_first_part_of_several_until_the_end(serve):
    response, sizes = calls(serve("responses:app", config=COUNTING), "/several", version="1.0")
    assert response.framing == "close"
    assert sizes == [len(response.head) + len("one,"), len("two,"), len("three")]


def test_first_part_of_a_generator(serve):
    server = serve("responses:app", config=COUNTING)
    gate = server.word()
    assert server.connect().request(f"/open?{gate}").status == 200
    server.begin()
    response, sizes = calls(server, f"/streamed?{gate}")
    assert response.chunks == [b"first", b"second"]
    assert sizes == [len(response.head) + len("5\r\nfirst\r\n"), len("6\r\nsecond\r\n"), len("0\r\n\r\n")]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.smoke
def test_first_part_that_is_large(serve, version):
    """The kernel may take less than all of it."""
    response, sizes = calls(serve("responses:app", config=COUNTING), "/large?102400", version=version)
    assert len(response.body) == 102400
    assert sizes[0] == len(response.head) + 102400
    assert len(sizes) <= 4


def test_first_chunk_that_is_large(serve):
    response, sizes = calls(serve("responses:app", config=COUNTING), "/large-parts?131072")
    assert [len(chunk) for chunk in response.chunks] == [65536, 65536]
    assert sizes[0] == len(response.head) + len("10000\r\n\r\n") + 65536
