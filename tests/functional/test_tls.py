"""HTTP over TLS, and the settings for it."""

from __future__ import annotations

import json
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.client import Client, ClosedError, request
from support.server import Server
from support.startup import refusal
from support.tls import VERSIONS, Certificates
from support.waiting import WAIT_LIMIT, until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")

Serve = Callable[..., Server]


def connect(server: Server, context: ssl.SSLContext) -> Client:
    """A client after its handshake. A missing close_notify is an error."""
    client = server.connect()
    client.sock = context.wrap_socket(client.sock, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
    return client


class Records:
    """A TLS socket that sends pieces of ``size`` bytes, each after the server has read the previous one."""

    def __init__(self, client: Client, context: ssl.SSLContext, size: int) -> None:
        self.client = Client(client.sock)
        self.size = size
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")
        self._converse(self._session.do_handshake)

    def sendall(self, data: bytes) -> None:
        self._converse(lambda: self._session.write(data))

    def recv(self, size: int) -> bytes:
        return self._converse(lambda: self._session.read(size))

    def close(self) -> None:
        self.client.close()

    def _converse(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._send()
                data = self.client.receive_once()
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                self._send()
                return result

    def _send(self) -> None:
        data = self._outgoing.read()
        self.client.send_pieces(data[at:at + self.size] for at in range(0, len(data), self.size))


def connect_in_pieces(server: Server, context: ssl.SSLContext, size: int) -> Client:
    """Like ``connect``, but handshake and requests arrive in pieces of *size* bytes."""
    client = server.connect()
    client.sock = Records(client, context, size)
    return client


@pytest.fixture(params=VERSIONS)
def secure(request: pytest.FixtureRequest, serve: Serve, certificates: Certificates) -> Callable[[str], Client]:
    """A function that connects to an application, with each version of TLS."""
    return lambda app: connect(serve(app, *certificates.options), certificates.context(request.param))


def test_environ(secure: Callable[[str], Client]) -> None:
    client = secure("echo:app")
    seen = json.loads(client.request("/").body)
    assert seen["wsgi.url_scheme"] == "https"
    assert seen["SERVER_PORT"] == str(client.sock.getpeername()[1])


@pytest.mark.smoke
def test_keepalive_and_pipelining(secure: Callable[[str], Client]) -> None:
    client = secure("echo:app")
    for number in range(3):
        assert json.loads(client.request(f"/{number}").body)["PATH_INFO"] == f"/{number}"
    # Longer than a TLS record, so requests are split between records.
    client.send(b"".join(request(f"/{number}", headers=["X-Long: " + "x" * 500]) for number in range(100)))
    for number in range(100):
        assert json.loads(client.receive().body)["PATH_INFO"] == f"/{number}"


def test_large_bodies(secure: Callable[[str], Client]) -> None:
    client = secure("probe:app")
    body = bytes(range(256)) * 4 * 4096
    for _ in range(2):
        assert json.loads(client.request("/upload", method="POST", body=body).body) == len(body)
        assert client.request("/stream?parts=64").body == b"x" * 64 * 65536


def test_client_that_does_not_read_does_not_block_others(serve: Serve, certificates: Certificates) -> None:
    server = serve("probe:app", *certificates.options)
    client = connect(server, certificates.context())
    client.send(request("/stream?parts=640"))
    assert client.receive_once().startswith(b"HTTP/1.1 200 OK")
    for _ in range(5):
        assert connect(server, certificates.context()).request("/").status == 200


def test_file(secure: Callable[[str], Client], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 8192)
    client = secure("probe:app")
    for _ in range(2):
        assert client.request(f"/file?file={path}").body == path.read_bytes()


def test_close_notify(secure: Callable[[str], Client]) -> None:
    client = secure("echo:app")
    assert client.request("/", headers=["Connection: close"]).closes
    assert client.sock.recv(1) == b""
    client = secure("echo:app")
    client.send(b"nonsense\r\n\r\n")
    assert client.receive().status == 400
    assert client.sock.recv(1) == b""


def test_close_notify_after_keepalive(serve: Serve, certificates: Certificates) -> None:
    client = connect(serve("echo:app", "--keep-alive", 1, *certificates.options), certificates.context())
    assert client.request().status == 200
    assert client.sock.recv(1) == b""


def test_client_sends_close_notify(serve: Serve, certificates: Certificates) -> None:
    server = serve("echo:app", *certificates.options)
    client = connect(server, certificates.context())
    assert client.request().status == 200
    client.sock = client.sock.unwrap()
    client.expect_close()
    assert connect(server, certificates.context()).request().status == 200


@pytest.mark.parametrize("option", [True, False])
def test_client_that_sends_no_close_notify(start: Serve, certificates: Certificates, option: bool) -> None:
    server = start("probe:app", *certificates.options, config=f"suppress_ragged_eofs = {option}\n")
    for data in b"", request(), request("/upload", method="POST", body=b"x" * 100)[:-1], b"GET / HT":
        client = connect(server, certificates.context())
        client.send(data)
        # This sends no close_notify.
        with closing(socket.socket(fileno=client.sock.detach())) as raw:
            raw.shutdown(socket.SHUT_WR)
            raw.settimeout(WAIT_LIMIT)
            while raw.recv(65536):
                pass
    assert connect(server, certificates.context()).request().status == 200


@pytest.mark.parametrize("data", [b"", b"\x16\x03\x01\x02\0\x01"], ids=["no byte", "begun"])
@pytest.mark.parametrize("leave", ["close", "reset", "half_close", "reset at once"])
def test_client_that_disconnects_before_its_handshake(serve: Serve, certificates: Certificates, leave: str,
                                                 data: bytes) -> None:
    """Health checks over TCP do this all the time."""
    server = serve("echo:app", *certificates.options, "--log-level", "debug")
    for _ in range(5):
        client = server.connect()
        client.send(data)
        if leave != "reset at once":
            client.wait_until_read()
        getattr(client, leave.partition(" ")[0])()
        if leave == "half_close":
            client.read_to_end()  # a TLS alert, perhaps
    server.wait_for_log(r"\[DEBUG\] A connection failed (before its TLS handshake )?and was closed", count=5)
    assert connect(server, certificates.context()).request().status == 200
    assert server.log(r"\[(INFO|WARNING|ERROR)\]") == []


def test_plain_http_to_a_tls_port(serve: Serve, certificates: Certificates) -> None:
    server = serve("echo:app", *certificates.options)
    client = server.connect()
    client.send(request())
    client.read_to_end()
    server.wait_for_log(r"Invalid request from ip=127\.0\.0\.1: .*(HTTP_REQUEST|http request)")
    assert len(server.log(r"\[(WARNING|ERROR)\]")) == 1
    assert connect(server, certificates.context()).request().status == 200


@pytest.mark.parametrize("beginning", [b"", b"\x16\x03\x01\x02\0\x01"], ids=["silent", "begun"])
def test_client_that_never_finishes_its_handshake(serve: Serve, certificates: Certificates, beginning: bytes) -> None:
    server = serve("echo:app", *certificates.options, settings={"handshake_timeout": 0.3})
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        client.send(beginning)
    assert connect(server, certificates.context()).request().status == 200
    for client in clients:
        client.expect_close()


def test_handshake_in_small_pieces(serve: Serve, certificates: Certificates) -> None:
    client = connect_in_pieces(serve("echo:app", *certificates.options), certificates.context(), 100)
    assert client.request().status == 200


def descriptors(server: Server, certificates: Certificates) -> int:
    """The number of open file descriptors of the worker, including that of this request."""
    client = connect(server, certificates.context())
    count = int(client.request("/descriptors", headers=["Connection: close"]).body)
    client.close()
    return count


@pytest.mark.parametrize("fact", ["getpeercert", "cipher", "getpeername"])
@pytest.mark.sample(1)
def test_application_that_reads_a_property_of_the_session(start: Serve, certificates: Certificates, fact: str) -> None:
    server = start("socket_access:app", "--keep-alive", 1, *certificates.options)
    before = descriptors(server, certificates)
    client = connect_in_pieces(server, certificates.context(), 20)
    answers = [client.request(f"/asks?{fact}") for _ in range(3)]
    assert [(answer.status, answer.closes) for answer in answers] == [(200, False)] * 3
    client.expect_close()
    idle = [connect(server, certificates.context()) for _ in range(3)]
    for other in idle:
        assert other.request(f"/asks?{fact}").status == 200
        # The beginning of a TLS record.
        with closing(socket.socket(fileno=other.sock.detach())) as raw:
            raw.sendall(b"\x17\x03\x03\0\x50abc")
            assert connect(server, certificates.context()).request().status == 200
    until(lambda: descriptors(server, certificates) <= before, "the worker has closed all that it had open")


@pytest.mark.parametrize("required", [0, 1, 2])
def test_client_certificates(start: Serve, certificates: Certificates, required: int, tmp_path: Path) -> None:
    (tmp_path / "passport.py").write_text("""
import json
def app(environ, start_response):
    seen = environ["gunicorn.socket"].getpeercert() or {}
    answer = json.dumps(seen.get("subjectAltName")).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
""")
    server = start("passport:app", "--chdir", tmp_path, "--cert-reqs", required, "--ca-certs", certificates.ca_certs,
                   *certificates.options)
    if required < 2:
        assert json.loads(connect(server, certificates.context()).request().body) is None
    else:
        # In TLS 1.3 the refusal arrives after the client has finished its side of the handshake.
        with pytest.raises((ssl.SSLError, ClosedError)):
            connect(server, certificates.context()).request()
    names = json.loads(connect(server, certificates.context(own=True)).request().body)
    assert names == ([["email", "alice@example.org"]] if required else None)


def test_certificate_of_an_unknown_authority(start: Serve, certificates: Certificates) -> None:
    server = start("echo:app", "--cert-reqs", 2, "--ca-certs", certificates.ca_certs, *certificates.options)
    context = certificates.context()
    pytest.importorskip("trustme").CA().issue_cert("mallory@example.org").configure_cert(context)
    with pytest.raises((ssl.SSLError, ClosedError)):
        connect(server, context).request()
    server.wait_for_log(r"Invalid request from ip=127\.0\.0\.1: ")
    assert connect(server, certificates.context(own=True)).request().status == 200


def test_certfile_with_its_key(start: Serve, certificates: Certificates) -> None:
    server = start("echo:app", "--certfile", certificates.both)
    assert connect(server, certificates.context()).request().status == 200


@pytest.mark.parametrize(("wrong", "content"), [
    ("certfile", "garbage"), ("keyfile", "garbage"), ("keyfile", "of another"),
])
def test_unusable_certificate(start: Serve, certificates: Certificates, tmp_path: Path, wrong: str,
                                         content: str) -> None:
    path = tmp_path / "wrong"
    if content == "of another":
        certificates.authority.issue_cert("localhost").private_key_pem.write_to_path(str(path))
    else:
        path.write_text(content)
    files = {"certfile": certificates.certfile, "keyfile": certificates.keyfile, wrong: path}
    line = refusal(start("echo:app", "--certfile", files["certfile"], "--keyfile", files["keyfile"], ready=False))
    assert wrong in line
    assert str(path) in line


@pytest.mark.parametrize("wrong", ["certfile", "keyfile"])
def test_missing_certificate(start: Serve, certificates: Certificates, tmp_path: Path, wrong: str) -> None:
    # Gunicorn checks for the files before it calls the worker class, and prints a traceback.
    path = tmp_path / "missing"
    files = {"certfile": certificates.certfile, "keyfile": certificates.keyfile, wrong: path}
    server = start("echo:app", "--certfile", files["certfile"], "--keyfile", files["keyfile"], ready=False)
    assert server.wait_for_exit() != 0
    server.expect_traceback(f'{wrong} "{path}" does not exist')
    assert not server.log("Booting worker")


@pytest.mark.parametrize("name", ["certfile", "keyfile", "ca_certs"])
def test_reload_with_a_missing_file_is_refused(start: Serve, certificates: Certificates, name: str) -> None:
    given = f"certfile = {str(certificates.certfile)!r}\nkeyfile = {str(certificates.keyfile)!r}\n"
    server = start("echo:app", config=given)
    file = server.directory / "gunicorn.conf.py"
    file.write_text(f"{file.read_text()}\n{name} = '/nowhere/to/be/found'\n")
    server.signal(signal.SIGHUP)
    server.wait_for_log(rf"\[ERROR\] {name} is '/nowhere/to/be/found': .* \[invalid-setting\]$")
    server.wait_for_log(r"\[ERROR\] Reload refused")
    assert connect(server, certificates.context()).request().status == 200


def test_missing_ca_certs(start: Serve, certificates: Certificates) -> None:
    line = refusal(start("echo:app", "--ca-certs", "/nowhere/to/be/found", *certificates.options, ready=False))
    assert "ca_certs is '/nowhere/to/be/found'" in line


def test_key_without_a_certificate(start: Serve, certificates: Certificates) -> None:
    assert str(certificates.keyfile) in refusal(start("echo:app", "--keyfile", certificates.keyfile, ready=False))


def test_ciphers(start: Serve, certificates: Certificates) -> None:
    name = "ECDHE-ECDSA-AES256-GCM-SHA384"
    server = start("echo:app", "--ciphers", name, *certificates.options)
    client = connect(server, certificates.context("1.2"))
    assert client.sock.cipher()[0] == name
    assert client.request().status == 200
    other = certificates.context("1.2")
    other.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    with pytest.raises(ssl.SSLError):
        connect(server, other)


def test_invalid_ciphers(start: Serve, certificates: Certificates) -> None:
    line = refusal(start("echo:app", "--ciphers", "nonsense", *certificates.options, ready=False))
    assert "ciphers 'nonsense': No cipher can be selected" in line


def test_ssl_context_hook(start: Serve, certificates: Certificates) -> None:
    config = """
import os, ssl
from os import write
def ssl_context(config, default_ssl_context_factory):
    write(2, b"a context for %s\\n" % os.path.basename(config.certfile).encode())
    context = default_ssl_context_factory()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context
"""
    server = start("echo:app", *certificates.options, config=config)
    server.wait_for_log("^a context for cert$")
    assert connect(server, certificates.context("1.3")).request().status == 200
    with pytest.raises(ssl.SSLError):
        connect(server, certificates.context("1.2"))


def test_do_handshake_on_connect(start: Serve, certificates: Certificates) -> None:
    # With either value a handshake does not block others.
    server = start("echo:app", "--do-handshake-on-connect", *certificates.options)
    server.connect()
    assert connect(server, certificates.context()).request().status == 200


def test_graceful_stop(start: Serve, certificates: Certificates) -> None:
    server = start("echo:app", "--keep-alive", 60, *certificates.options)
    client = connect(server, certificates.context())
    assert client.request().status == 200
    server.connect()
    server.signal(15)
    assert client.sock.recv(1) == b""
    assert server.wait_for_exit(5) == 0
