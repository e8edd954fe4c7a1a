"""The environ of a request: PEP 3333, and what Gunicorn adds to it."""

from __future__ import annotations

import json

import pytest

from support.client import request


def environ(site, target="/", **more):
    response = site("echo").connect().request(target, **more)
    assert response.status == 200
    return json.loads(response.body)


@pytest.mark.parametrize(("target", "path", "query"), [
    ("/", "/", ""),
    ("/a/b?c=d&e", "/a/b", "c=d&e"),
    ("/a%20b/%C3%A9%2Fc?d%20e", "/a b/\xc3\xa9/c", "d%20e"),
    ("//double//slash", "//double//slash", ""),
    ("/a?", "/a", ""),
    ("/a?b?c", "/a", "b?c"),
    ("/a;b=c", "/a;b=c", ""),
    ("/a%00b", "/a\0b", ""),
    ("/a%zz", "/a%zz", ""),
    ("/a#b", "/a", ""),
    ("http://else.where/a/b?c", "/a/b", "c"),
])
def test_target(site, target, path, query):
    seen = environ(site, target)
    assert (seen["PATH_INFO"], seen["QUERY_STRING"], seen["RAW_URI"]) == (path, query, target)
    assert seen["SCRIPT_NAME"] == ""


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PATCH", "PROPFIND", "M-SEARCH"])
def test_method(serve, method):
    assert environ(lambda name: serve(f"{name}:app"), method=method)["REQUEST_METHOD"] == method


def test_asterisk_target(serve):
    seen = environ(lambda name: serve(f"{name}:app"), "*", method="OPTIONS")
    assert (seen["REQUEST_METHOD"], seen["RAW_URI"]) == ("OPTIONS", "*")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_protocol(site, version):
    assert environ(site, version=version)["SERVER_PROTOCOL"] == f"HTTP/{version}"


def test_header_fields(site):
    seen = environ(site, headers=[
        "Host: name.test:8080", "X-Lower-Case: v", "x-spaces: \t in  side \t", "X-Empty:", "X-Twice: a", "x-twice: b",
        "X-Latin: caf\xe9", "Accept: */*", "Cookie: a=b", "cookie: c=d", "X-Colon: a:b", "X.Y!#$%&'*+^`|~: odd",
    ])
    assert seen["HTTP_HOST"] == "name.test:8080"
    assert seen["HTTP_X_LOWER_CASE"] == "v"
    assert seen["HTTP_X_SPACES"] == "in  side"
    assert seen["HTTP_X_EMPTY"] == ""
    assert seen["HTTP_X_TWICE"] == "a,b"
    assert seen["HTTP_X_LATIN"] == "caf\xe9"
    assert seen["HTTP_COOKIE"] == "a=b,c=d"
    assert seen["HTTP_X_COLON"] == "a:b"
    assert seen["HTTP_X.Y!#$%&'*+^`|~"] == "odd"


def test_body_fields_have_no_prefix(site):
    seen = environ(site, method="POST", headers=["Content-Type: text/x"], body=b"hello")
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"], seen["body"]) == ("text/x", "5", "hello")
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & set(seen)
    assert not {"CONTENT_TYPE", "CONTENT_LENGTH"} & set(environ(site))


def test_transfer_encoding_is_in_the_environ(site):
    seen = environ(site, method="POST", headers=["Transfer-Encoding: chunked"], body=b"5\r\nhello\r\n0\r\n\r\n")
    assert (seen["HTTP_TRANSFER_ENCODING"], seen["body"]) == ("chunked", "hello")
    assert "CONTENT_LENGTH" not in seen


@pytest.mark.smoke(validated=True)
def test_addresses(site):
    server = site("echo")
    client = server.connect()
    seen = json.loads(client.request(headers=["Host: name.test:8080"]).body)
    if isinstance(server.address, tuple):
        host, port = server.address
        assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == (host, str(port))
        assert (seen["REMOTE_ADDR"], seen["REMOTE_PORT"]) == ("127.0.0.1", str(client.sock.getsockname()[1]))
    else:
        assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("name.test", "8080")
        assert seen["REMOTE_ADDR"] == ""
    assert seen["wsgi.url_scheme"] == "http"
    assert seen["SERVER_SOFTWARE"].startswith("gunicorn")


def test_wsgi_flags(serve):
    client = serve("flags:app").connect()
    assert json.loads(client.request().body) == {
        "wsgi.version": [1, 0], "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
        "wsgi.input_terminated": True, "kind": "dict", "file_wrapper": True, "errors": True,
    }


def test_multiprocess_with_several_workers(start):
    client = start("flags:app", workers=2).connect()
    assert json.loads(client.request().body)["wsgi.multiprocess"] is True


def test_environ_is_not_shared_between_requests(serve):
    client = serve("flags:app").connect()
    for _ in range(2):
        assert json.loads(client.request("/marked").body) == {"marked before": False}
    client.send(request("/marked") * 3)
    for _ in range(3):
        assert json.loads(client.receive().body) == {"marked before": False}


def test_errors_stream_is_the_error_log(serve):
    server = serve("flags:app")
    assert server.connect().request("/errors").status == 200
    server.wait_for_log("^a word to the log, caf\xe9$")
