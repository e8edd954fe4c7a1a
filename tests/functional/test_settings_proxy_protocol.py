"""The settings proxy_protocol and proxy_allow_ips: the client address in the header of a proxy."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable

import pytest

from support.client import request
from support.launch import GUNICORN_SETTINGS
from support.server import Server

# With both parsers, Gunicorn's parser handles the first request of a connection.
pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Serve = Callable[..., Server]

#: Gunicorn 23 has one switch, for version 1.
MODES = "http_parser" in GUNICORN_SETTINGS
ON = "--proxy-protocol=auto" if MODES else "--proxy-protocol"
needs_modes = pytest.mark.skipif(not MODES, reason="this Gunicorn supports version 1 of the protocol only")

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.3 56324 443\r\n"
V1_6 = b"PROXY TCP6 2001:db8::7 2001:db8::3 56324 443\r\n"

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command: int, family: int, address: bytes) -> bytes:
    """A header of version 2 (section 2.2 of the PROXY protocol)."""
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(address)) + address


V2 = v2(1, 0x11, socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.3") + struct.pack("!HH", 56324, 443))
V2_6 = v2(1, 0x21, socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "2001:db8::3")
          + struct.pack("!HH", 56324, 443) + b"\x04\x00\x01x")

FAR = {"REMOTE_ADDR": "192.0.2.7", "REMOTE_PORT": "56324", "PROXY_ADDR": "198.51.100.3", "PROXY_PORT": "443",
       "PROXY_PROTOCOL": "TCP4"}
FAR_6 = {"REMOTE_ADDR": "2001:db8::7", "REMOTE_PORT": "56324", "PROXY_ADDR": "2001:db8::3", "PROXY_PORT": "443",
         "PROXY_PROTOCOL": "TCP6"}


def exchange(server: Server, preamble: bytes) -> tuple[int, dict[str, str]]:
    client = server.connect()
    client.send(preamble + request("/"))
    response = client.receive()
    return response.status, json.loads(response.body) if response.status == 200 else {}


@pytest.mark.parametrize(("preamble", "expected"), [(V1, FAR), (V1_6, FAR_6)], ids=["TCP4", "TCP6"])
@pytest.mark.smoke
def test_v1_header_sets_the_addresses(serve: Serve, preamble: bytes, expected: dict[str, str]) -> None:
    status, seen = exchange(serve("echo:app", ON), preamble)
    assert status == 200
    assert {name: seen.get(name) for name in expected} == expected


@needs_modes
@pytest.mark.parametrize(("preamble", "expected"), [(V2, FAR), (V2_6, FAR_6)], ids=["TCP4", "TCP6"])
@pytest.mark.smoke
def test_v2_header_sets_the_addresses(serve: Serve, preamble: bytes, expected: dict[str, str]) -> None:
    for option in ON, "--proxy-protocol=v2":
        status, seen = exchange(serve("echo:app", option), preamble)
        assert status == 200
        assert {name: seen.get(name) for name in expected} == expected


@needs_modes
@pytest.mark.parametrize("preamble", [V1, V2], ids=["v1", "v2"])
def test_header_may_be_split_at_every_byte(serve: Serve, preamble: bytes) -> None:
    server = serve("echo:app", ON)
    data = preamble + request("/")
    for at in range(1, len(preamble) + 4):
        client = server.connect()
        client.send_pieces([data[:at], data[at:]])
        assert json.loads(client.receive().body)["REMOTE_ADDR"] == "192.0.2.7"


def test_addresses_apply_to_the_whole_connection(serve: Serve) -> None:
    client = serve("echo:app", ON).connect()
    client.send(V1 + request("/1") + request("/2"))
    assert json.loads(client.receive().body)["REMOTE_ADDR"] == "192.0.2.7"
    assert json.loads(client.receive().body)["REMOTE_ADDR"] == "192.0.2.7"
    assert json.loads(client.request("/3").body)["PROXY_ADDR"] == "198.51.100.3"


def test_header_is_accepted_only_at_the_start_of_a_connection(serve: Serve) -> None:
    client = serve("echo:app", ON).connect()
    assert json.loads(client.request("/").body)["REMOTE_ADDR"] == "127.0.0.1"
    client.send(V1 + request("/"))
    assert client.receive().status == 400


def test_request_without_a_header_is_served(serve: Serve) -> None:
    status, seen = exchange(serve("echo:app", ON), b"")
    assert status == 200
    assert "PROXY_PROTOCOL" not in seen


def test_header_is_refused_if_the_setting_is_off(serve: Serve) -> None:
    assert exchange(serve("echo:app"), V1)[0] == 400
    assert exchange(serve("echo:app"), V2)[0] == 400


@needs_modes
def test_header_of_the_other_version_is_refused(serve: Serve) -> None:
    assert exchange(serve("echo:app", "--proxy-protocol=v1"), V2)[0] == 400
    assert exchange(serve("echo:app", "--proxy-protocol=v2"), V1)[0] == 400
    assert exchange(serve("echo:app", "--proxy-protocol=off"), V1)[0] == 400


@pytest.mark.parametrize("line", [
    b"PROXY\x20UNKNOWN\r\n", b"PROXY TCP4 192.0.2.7 198.51.100.3 56324\r\n",
    b"PROXY TCP4 300.0.2.7 198.51.100.3 1 2\r\n", b"PROXY TCP6 192.0.2.7 198.51.100.3 1 2\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.3 1 65536\r\n", b"PROXY TCP4 192.0.2.7 198.51.100.3 x 2\r\n",
])
def test_invalid_v1_header_is_refused(serve: Serve, line: bytes) -> None:
    server = serve("echo:app", ON)
    assert exchange(server, line)[0] == 400
    server.wait_for_log("Invalid request from ip=127.0.0.1")


@needs_modes
@pytest.mark.parametrize("preamble", [v2(0, 0, b""), v2(0, 0x11, b"\1" * 12), v2(1, 0x01, b"")],
                         ids=["LOCAL", "LOCAL with addresses", "unspecified"])
def test_v2_header_without_addresses_keeps_the_real_ones(serve: Serve, preamble: bytes) -> None:
    status, seen = exchange(serve("echo:app", ON), preamble)
    assert (status, seen.get("REMOTE_ADDR")) == (200, "127.0.0.1")
    assert seen["REMOTE_PORT"].isdigit()


@needs_modes
@pytest.mark.parametrize("preamble", [
    v2(3, 0x11, b"\0" * 12), v2(1, 0x11, b"\0" * 11), v2(1, 0x21, b"\0" * 35), v2(1, 0x12, b"\0" * 12),
    v2(1, 0x31, b"\0" * 216), SIGNATURE + b"\x11\x11\0\x0c" + b"\0" * 12,
], ids=["command", "short TCP4", "short TCP6", "datagram", "Unix", "version"])
def test_invalid_v2_header_is_refused(serve: Serve, preamble: bytes) -> None:
    server = serve("echo:app", ON)
    assert exchange(server, preamble)[0] == 400
    server.wait_for_log("Invalid request from ip=127.0.0.1")


def test_header_of_an_untrusted_peer_is_refused(serve: Serve) -> None:
    server = serve("echo:app", ON, "--proxy-allow-from", "192.0.2.1")
    assert exchange(server, V1)[0] == 403
    server.wait_for_log("Invalid request from ip=127.0.0.1")
    assert exchange(server, b"")[0] == 200
    for allowed in "192.0.2.1,127.0.0.1", "*":
        server = serve("echo:app", ON, "--proxy-allow-from", allowed)
        assert exchange(server, V1)[1]["REMOTE_ADDR"] == "192.0.2.7"


@pytest.mark.only(transport="unix")
def test_proxy_allow_ips_does_not_apply_to_unix_sockets(serve: Serve) -> None:
    server = serve("echo:app", ON, "--proxy-allow-from", "192.0.2.1")
    assert exchange(server, V1)[1]["REMOTE_ADDR"] == "192.0.2.7"


@needs_modes
def test_proxy_allow_ips_of_a_network(serve: Serve) -> None:
    server = serve("echo:app", ON, "--proxy-allow-from", "127.0.0.0/8")
    assert exchange(server, V1)[1]["REMOTE_ADDR"] == "192.0.2.7"


def test_forwarded_allow_ips_applies_to_the_peer_not_to_the_header(serve: Serve) -> None:
    # As in Gunicorn, forwarded_allow_ips applies to the address of the connection, which is the proxy.
    client = serve("echo:app", ON).connect()
    client.send(V1 + request("/", headers=["X-Forwarded-Proto: https"]))
    assert json.loads(client.receive().body)["wsgi.url_scheme"] == "https"
