"""The beginning of a WebSocket, byte for byte (RFC 6455)."""

from __future__ import annotations

from support.client import Client, request
from support.server import Server

#: RFC 6455 section 1.3, with its example of a key and what the answer to it must be.
HANDSHAKE = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
             "Sec-WebSocket-Version: 13"]
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#: "hello" and "stop" from a client, masked with zeros; "hello" from a server (RFC 6455 section 5.2).
HELLO, STOP, HELLO_BACK = b"\x81\x85\0\0\0\0hello", b"\x81\x84\0\0\0\0stop", b"\x81\x05hello"

#: For the command line: one line of the access log for each connection.
ACCESS = ("--access-logfile", "-", "--access-logformat", "access %(s)s %(r)s")


def shake_hands(client: Client, path: str) -> Client:
    """Switch the connection of *client* to WebSocket; returns the client."""
    client.send(request(path, headers=HANDSHAKE))
    response = client.receive()
    assert (response.status, response.header("sec-websocket-accept")) == (101, ACCEPT)
    return client


def greet(client: Client) -> Client:
    """Send a message to a server that echoes, and receive it; returns the client."""
    client.send(HELLO)
    assert client.read(len(HELLO_BACK)) == HELLO_BACK
    return client


def opened(server: Server, path: str = "/echo") -> Client:
    """A raw client behind its handshake."""
    return shake_hands(server.connect(), path)
