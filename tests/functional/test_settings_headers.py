"""The settings that control which request heads are accepted, and how they appear in the environ."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from support.launch import GUNICORN_SETTINGS
from support.server import Server

pytestmark = pytest.mark.only(transport="tcp")

Serve = Callable[..., Server]


over_unix = pytest.mark.only(transport="unix")


def exchange(server: Server, *headers: str, line: str = "GET / HTTP/1.1") -> tuple[int, dict[str, str]]:
    """The status of the response, and the environ in the application."""
    client = server.connect()
    client.send("\r\n".join([line, "Host: test", *headers, "Connection: close", "", ""]).encode("latin-1"))
    response = client.receive()
    return response.status, json.loads(response.body) if response.status == 200 else {}


# header_map, forwarder_headers, forwarded_allow_ips


def test_header_map_drop_drops_ambiguous_fields(serve: Serve) -> None:
    status, seen = exchange(serve("echo:app"), "X_Real: 1", "X-Real: 2", "Other_One: 3")
    assert (status, seen["HTTP_X_REAL"]) == (200, "2")
    assert "HTTP_OTHER_ONE" not in seen


def test_header_map_refuse_answers_400(serve: Serve) -> None:
    server = serve("echo:app", "--header-map", "refuse")
    assert exchange(server, "X_Real: 1")[0] == 400
    assert exchange(server, "X-Real: 1")[1]["HTTP_X_REAL"] == "1"
    # A trusted proxy may send the fields in forwarder_headers.
    assert exchange(server, "SCRIPT_NAME: ")[0] == 200


def test_header_map_dangerous_maps_ambiguous_fields(serve: Serve) -> None:
    status, seen = exchange(serve("echo:app", "--header-map", "dangerous"), "X_Real: 1", "X-Real: 2")
    assert (status, seen["HTTP_X_REAL"]) == (200, "1,2")


def test_forwarder_headers_of_a_trusted_peer_are_mapped(serve: Serve) -> None:
    server = serve("echo:app", "--forwarder-headers", "REMOTE_USER,X_REAL")
    _, seen = exchange(server, "Remote_User: alice", "X_Real: 1", "X_Other: 2")
    assert (seen["HTTP_REMOTE_USER"], seen["HTTP_X_REAL"]) == ("alice", "1")
    assert "HTTP_X_OTHER" not in seen


def test_forwarder_headers_of_an_untrusted_peer_are_dropped(serve: Serve) -> None:
    server = serve("echo:app", "--forwarder-headers", "REMOTE_USER", "--forwarded-allow-ips", "192.0.2.1")
    status, seen = exchange(server, "Remote_User: alice")
    assert status == 200
    assert "HTTP_REMOTE_USER" not in seen


@over_unix
def test_forwarder_headers_are_always_trusted_over_unix(serve: Serve) -> None:
    server = serve("echo:app", "--forwarder-headers", "REMOTE_USER", "--forwarded-allow-ips", "192.0.2.1")
    assert exchange(server, "Remote_User: alice")[1]["HTTP_REMOTE_USER"] == "alice"


# secure_scheme_headers, forwarded_allow_ips


@pytest.mark.parametrize(("headers", "status", "scheme"), [
    ([], 200, "http"),
    (["X-Forwarded-Proto: https"], 200, "https"),
    (["X-Forwarded-Proto: http"], 200, "http"),
    (["X-Forwarded-Proto: HTTPS"], 200, "http"),
    (["x-forwarded-protocol: ssl"], 200, "https"),
    (["X-Forwarded-Ssl: on", "X-Forwarded-Proto: https"], 200, "https"),
    (["X-Forwarded-Ssl: on", "X-Forwarded-Proto: http"], 400, None),
])
def test_default_secure_scheme_headers(serve: Serve, headers: Sequence[str], status: int, scheme: str | None) -> None:
    got, seen = exchange(serve("echo:app"), *headers)
    assert (got, seen.get("wsgi.url_scheme")) == (status, scheme)


def test_configured_secure_scheme_headers(serve: Serve) -> None:
    server = serve("echo:app", config='secure_scheme_headers = {"X-TLS": "yes"}')
    assert exchange(server, "X-Tls: yes")[1]["wsgi.url_scheme"] == "https"
    assert exchange(server, "X-Tls: no")[1]["wsgi.url_scheme"] == "http"
    assert exchange(server, "X-Forwarded-Proto: https")[1]["wsgi.url_scheme"] == "http"


@pytest.mark.parametrize(("allowed", "scheme"), [
    ("192.0.2.1", "http"), ("", "http"), ("127.0.0.1", "https"), ("192.0.2.1,127.0.0.1", "https"), ("*", "https"),
])
def test_forwarded_allow_ips(serve: Serve, allowed: str, scheme: str) -> None:
    server = serve("echo:app", f"--forwarded-allow-ips={allowed}")
    status, seen = exchange(server, "X-Forwarded-Proto: https")
    assert (status, seen["wsgi.url_scheme"]) == (200, scheme)


@pytest.mark.skipif("http_parser" not in GUNICORN_SETTINGS, reason="this Gunicorn supports addresses only")
def test_forwarded_allow_ips_of_a_network(serve: Serve) -> None:
    for network, scheme in ("127.0.0.0/8", "https"), ("192.0.2.0/24", "http"):
        server = serve("echo:app", "--forwarded-allow-ips", network)
        assert exchange(server, "X-Forwarded-Proto: https")[1]["wsgi.url_scheme"] == scheme


def test_forwarded_allow_ips_from_the_environment(serve: Serve) -> None:
    server = serve("echo:app", env={"FORWARDED_ALLOW_IPS": "192.0.2.1"})
    assert exchange(server, "X-Forwarded-Proto: https")[1]["wsgi.url_scheme"] == "http"


# SCRIPT_NAME


def test_script_name_from_the_environment(serve: Serve) -> None:
    server = serve("echo:app", env={"SCRIPT_NAME": "/mounted"})
    _, seen = exchange(server, line="GET /mounted/a%20b?c=d HTTP/1.1")
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"], seen["RAW_URI"]) == ("/mounted", "/a b", "/mounted/a%20b?c=d")
    assert exchange(server, line="GET /elsewhere HTTP/1.1")[0] == 500
    server.wait_for_log("does not start with SCRIPT_NAME")


def test_script_name_from_raw_env(serve: Serve) -> None:
    server = serve("echo:app", "--env", "SCRIPT_NAME=/mounted")
    _, seen = exchange(server, line="GET /mounted/a HTTP/1.1")
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("/mounted", "/a")


def test_script_name_from_a_header(serve: Serve) -> None:
    server = serve("echo:app", env={"SCRIPT_NAME": "/mounted"})
    _, seen = exchange(server, "Script_Name: /sent", line="GET /sent/a HTTP/1.1")
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("/sent", "/a")


def test_script_name_from_an_untrusted_peer_is_dropped(serve: Serve) -> None:
    server = serve("echo:app", "--forwarded-allow-ips", "192.0.2.1")
    _, seen = exchange(server, "Script_Name: /sent", line="GET /sent/a HTTP/1.1")
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("", "/sent/a")


# Syntax that is refused by default


@pytest.mark.parametrize(("option", "line", "headers", "refused", "key", "value"), [
    ("--permit-obsolete-folding", "GET / HTTP/1.1", ["X-Long: a", "\tb", "  c "], 400, "HTTP_X_LONG", "a b c"),
    ("--strip-header-spaces", "GET / HTTP/1.1", ["X-Space : a"], 400, "HTTP_X_SPACE", "a"),
    ("--permit-unconventional-http-method", "get# / HTTP/1.1", [], 400, "REQUEST_METHOD", "get#"),
    ("--permit-unconventional-http-method", f"{'M' * 30} / HTTP/1.1", [], 400, "REQUEST_METHOD", "M" * 30),
    ("--permit-unconventional-http-version", "GET / HTTP/1.7", [], 200, "SERVER_PROTOCOL", "HTTP/1.7"),
    ("--permit-unconventional-http-version", "GET / HTTP/2.0", [], 400, "SERVER_PROTOCOL", "HTTP/2.0"),
])
def test_permitted_syntax_is_accepted(
        serve: Serve, option: str, line: str, headers: list[str], refused: int, key: str, value: str) -> None:
    assert exchange(serve("echo:app"), *headers, line=line)[0] == refused
    status, seen = exchange(serve("echo:app", option), *headers, line=line)
    assert (status, seen.get(key)) == (200, value)


def test_casefold_http_method_accepts_lower_case(serve: Serve) -> None:
    options = ["--permit-unconventional-http-method", "--casefold-http-method"]
    assert exchange(serve("echo:app", *options), line="gEt / HTTP/1.1")[1]["REQUEST_METHOD"] == "GET"
    assert exchange(serve("echo:app", "--casefold-http-method"), line="get / HTTP/1.1")[0] == 400


# http_parser

needs_http_parser = pytest.mark.skipif("http_parser" not in GUNICORN_SETTINGS, reason="no such setting")
one_parser = pytest.mark.only(parser="fast")

@needs_http_parser
@one_parser
@pytest.mark.parametrize("choice", ["auto", "fast", "python"])
def test_http_parser_choices_work(serve: Serve, choice: str) -> None:
    server = serve("echo:app", "--http-parser", choice)
    assert exchange(server, "X-A: b")[1]["HTTP_X_A"] == "b"


@needs_http_parser
@one_parser
def test_http_parser_fast_falls_back_for_unusual_heads(serve: Serve) -> None:
    server = serve("echo:app", "--http-parser", "fast", "--permit-obsolete-folding", "--strip-header-spaces")
    _, seen = exchange(server, "X-Long: a", "\tb", "X-Space : c")
    assert (seen["HTTP_X_LONG"], seen["HTTP_X_SPACE"]) == ("a b", "c")
