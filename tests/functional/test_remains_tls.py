"""A TLS connection that is closed is freed at once: the same tests as in test_remains.py."""

from __future__ import annotations

import socket
import sys

import pytest

from support.client import request
from support.endings import (
    BY_TIMEOUT,
    CLOSE,
    SETTINGS,
    SHORT,
    answered_on_the_socket,
    assert_nothing_remains,
    body_not_read,
    body_read,
    closed_as_the_client_asked,
    closed_by_the_client,
    error_of_the_application,
    left_during_a_head,
    pipelined,
    refused,
    slow_reader,
    slow_reader_of_short_responses,
    taken_over,
)

pytestmark = [pytest.mark.only(transport="tcp", parser="fast"),
              pytest.mark.skipif(sys.implementation.name != "cpython", reason="only CPython counts references")]


class SecureServer:
    """A server whose clients use TLS."""

    def __init__(self, server, certificates):
        self.server = server
        self.context = certificates.context()
        for name in ("begin", "expect_traceback", "wait_for_log", "word"):
            setattr(self, name, getattr(server, name))

    def connect(self):
        client = self.server.connect()
        client.sock = self.context.wrap_socket(client.sock, server_hostname="127.0.0.1")
        return client


def sends_close_notify(secure):
    client = secure.connect()
    client.request("/")
    client.sock = client.sock.unwrap()
    client.expect_close()


def sends_no_close_notify(secure):
    client = secure.connect()
    client.request("/")
    socket.socket(fileno=client.sock.detach()).close()


def disconnects_before_its_handshake(secure):
    for data in b"", b"\x16\x03\x01\x02\0\x01":
        for leave in ("close", "reset"):
            client = secure.server.connect()
            client.send(data)
            getattr(client, leave)()


def never_finishes_its_handshake(secure):
    for data in b"", b"\x16\x03\x01\x02\0\x01":
        client = secure.server.connect()
        client.send(data)
        client.expect_close()


def sends_plain_http(secure):
    client = secure.server.connect()
    client.send(request("/"))
    client.read_to_end()


@pytest.mark.parametrize("way", [
    sends_close_notify, sends_no_close_notify, disconnects_before_its_handshake, sends_plain_http,
    closed_as_the_client_asked, closed_by_the_client, pipelined, refused, left_during_a_head, body_read,
    body_not_read, slow_reader, slow_reader_of_short_responses, error_of_the_application, taken_over,
    answered_on_the_socket])
def test_tls_connection_is_freed(serve, certificates, way):
    secure = SecureServer(serve("remaining_objects:app", "--keep-alive", 60, *certificates.options, settings=SETTINGS),
                          certificates)
    secure.connect().request("/open?always-open", headers=CLOSE)
    assert_nothing_remains(secure.connect, lambda: way(secure))


@pytest.mark.parametrize("way", [never_finishes_its_handshake, *BY_TIMEOUT])
@pytest.mark.sample(2)
def test_tls_connection_is_freed_after_a_timeout(serve, certificates, way):
    server = serve("remaining_objects:app", "--keep-alive", 1, *certificates.options, settings=SHORT)
    secure = SecureServer(server, certificates)
    assert_nothing_remains(secure.connect, lambda: way(secure))
