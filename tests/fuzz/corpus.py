"""The requests that are mutated, and the settings of the parsers."""
from __future__ import annotations

from typing import Any

from gunicorn.config import Config


def lines(*texts: str, body: bytes = b"") -> bytes:
    return "".join(text + "\r\n" for text in texts).encode("latin-1") + b"\r\n" + body


#: Ordinary requests. The fast path must not decline any of them.
ORDINARY = [
    lines("GET / HTTP/1.1", "Host: localhost:8000"),
    lines("GET / HTTP/1.1", "Host: localhost:8000", "User-Agent: curl/8.5.0", "Accept: */*"),
    lines("HEAD /index.html HTTP/1.1", "host: example.com", "connection: close"),
    lines("GET /search?q=a%20b&page=2 HTTP/1.1", "Host: example.com", "Connection: keep-alive",
          "Accept-Encoding: gzip, deflate, br", "Accept-Language: en-GB,en;q=0.9", "Cookie: a=1; b=\"2\"; c=%C3%BC",
          "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
          "Upgrade-Insecure-Requests: 1", "Sec-Fetch-Mode: navigate", "DNT: 1"),
    lines("GET / HTTP/1.0", "Host: localhost", "User-Agent: ApacheBench/2.3", "Accept: */*"),
    lines("GET / HTTP/1.0", "Connection: Keep-Alive", "Host: localhost"),
    lines("GET / HTTP/1.0"),
    lines("POST /form HTTP/1.1", "Host: example.com", "Content-Type: application/x-www-form-urlencoded",
          "Content-Length: 11", body=b"name=gunner"),
    lines("PUT /a/b/c HTTP/1.1", "Host: example.com", "Content-Length: 0"),
    lines("PATCH /a;v=1 HTTP/1.1", "Host: example.com", "Content-Type: application/json", "content-length: 2",
          "X-Request-ID: 1f2e", "If-Match: \"x\"", body=b"{}"),
    lines("DELETE /items/17?force HTTP/1.1", "Host: example.com", "Authorization: Bearer abc.def"),
    lines("OPTIONS /api HTTP/1.1", "Host: example.com", "Origin: https://a.example",
          "Access-Control-Request-Method: PUT"),
    lines("POST /upload HTTP/1.1", "Host: example.com", "Transfer-Encoding: chunked", "Trailer: X-Digest",
          body=b"5\r\nhello\r\n6;name=value\r\n world\r\n0\r\nX-Digest: 1\r\n\r\n"),
    lines("POST / HTTP/1.1", "Host: example.com", "transfer-encoding: Chunked", body=b"a\r\n0123456789\r\n0\r\n\r\n"),
    lines("GET /through/a/proxy HTTP/1.1", "Host: example.com", "X-Forwarded-For: 203.0.113.7",
          "X-Forwarded-Proto: https", "X-Forwarded-Host: example.com", "Via: 1.1 proxy", "X-Real-IP: 203.0.113.7"),
    lines("GET /chat HTTP/1.1", "Host: example.com", "Upgrade: websocket", "Connection: Upgrade",
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"),
    lines("GET /x HTTP/1.1", "Host: example.com", "X-Empty:", "X-Spaces: \t a  b \t", "X-Latin: caf\xe9",
          "X-Scheme: secure"),
]

#: Unusual and malicious requests.
UNUSUAL = [
    lines("OPTIONS * HTTP/1.1", "Host: example.com"),
    lines("CONNECT example.com:443 HTTP/1.1", "Host: example.com:443"),
    lines("GET http://example.com/a?b#c HTTP/1.1", "Host: example.com"),
    lines("GET //double//slash?x HTTP/1.1", "Host: example.com"),
    lines("GET /a#fragment HTTP/1.1", "Host: example.com"),
    lines("PROPFIND /dav HTTP/1.1", "Host: example.com", "Depth: 1"),
    lines("get / HTTP/1.1", "Host: example.com"),
    lines("GET / HTTP/2.0", "Host: example.com"),
    lines("GET / HTTP/1.1", "Host: example.com", "Host: example.org"),
    lines("GET / HTTP/1.1", "Host: example.com", "Cookie: a=1", "Cookie: b=2"),
    lines("GET / HTTP/1.1", "Host: example.com", "X_Forwarded_For: 127.0.0.1", "SCRIPT_NAME: /app"),
    lines("GET / HTTP/1.1", "Host: example.com", "X-Folded: a", " b"),
    lines("GET / HTTP/1.1", "Host : example.com"),
    lines("POST / HTTP/1.1", "Host: example.com", "Expect: 100-continue", "Content-Length: 3", body=b"abc"),
    lines("POST / HTTP/1.1", "Host: example.com", "Expect: the-unexpected", "Content-Length: 3", body=b"abc"),
    lines("POST / HTTP/1.1", "Host: example.com", "Content-Length: 3", "Transfer-Encoding: chunked",
          body=b"0\r\n\r\n"),
    lines("POST / HTTP/1.1", "Host: example.com", "Transfer-Encoding: gzip, chunked", body=b"1\r\nx\r\n0\r\n\r\n"),
    lines("POST / HTTP/1.1", "Host: example.com", "Transfer-Encoding: identity"),
    lines("POST / HTTP/1.0", "Host: example.com", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    lines("GET / HTTP/1.1", "Host: example.com", "X-Forwarded-Proto: https", "X-Forwarded-SSL: off"),
    lines("POST / HTTP/1.1", "Host: example.com", "Transfer-Encoding: chunked",
          body=b"3 ; a=\"b\\\"c\" ;d\r\nabc\r\n00\r\nX-A: 1\r\nX-B: 2\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
    b"\r\n" + lines("GET / HTTP/1.1", "Host: example.com"),
]

#: Field lines to add. Every field that a parser interprets is among them.
FIELDS = [
    b"Host: a", b"Host: b", b"Content-Type: text/plain", b"Content_Type: text/html", b"Content-Length: 0",
    b"Content-Length: 5", b"Content-Length: +5", b"Content-Length: 05", b"Content-Length: 5, 5",
    b"Content-Length: -1", b"Content-Length: 5_0", b"Content-Length: \xb2", b"Content-Length:", b"Content_Length: 7",
    b"Content-Length: 99999999999999999999", b"Transfer-Encoding: chunked", b"Transfer-Encoding: CHUNKED",
    b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: gzip", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, gzip", b"Transfer-Encoding: identity", b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding: \xa0chunked",
    b"Transfer-Encoding: chunked\x85", b"Transfer-Encoding: xchunked", b"Transfer-Encoding:",
    b"Transfer-Encoding: ,chunked", b"Transfer_Encoding: chunked", b"Transfer-Encoding: chunked;q=1",
    b"Expect: 100-continue", b"Expect: 100-Continue", b"Expect: 200-ok", b"Expect:", b"Connection: close",
    b"Connection: keep-alive", b"Connection: Upgrade, close", b"Connection: keep-alive, x", b"Connection: \xa0close",
    b"X-Forwarded-Proto: https", b"X-Forwarded-Proto: http", b"X-Forwarded-Protocol: ssl", b"X-Forwarded-Ssl: on",
    b"X-Forwarded-Ssl: off", b"X_Forwarded_Proto: https", b"X-Scheme: secure", b"SCRIPT_NAME: /app",
    b"Script-Name: /a", b"PATH_INFO: /x", b"REMOTE_USER: me", b"X_Underscore: 1", b"X-A: 1", b"x-a: 2", b"X.A: dot",
    b"X!#$%&'*+^`|~: token", b"Te: trailers", b"Trailer: X-A", b"Upgrade: h2c", b"Cookie: a=1", b"X-Empty:",
    b"X-Tab:\tv\t", b": no name", b":", b"no colon", b" folded", b"\tfolded", b"Name : value", b"Name\t: value",
    b" Name: value", b"N\xe4me: v", b"X-V: \x7f", b"X-V: a\x00b", b"X-V: a\x1bb", b"X-V: a\tb", b"X-V: \xff",
    b"X-V: \xc3\xbc", b"X-Long: " + b"v" * 40,
]

TARGETS = [
    b"/", b"*", b"", b"/a b", b"/\x00", b"/\x7f", b"/\x80", b"/\t", b"/%00", b"//", b"///a?b", b"/a?b?c", b"/a#b",
    b"/?", b"?a", b"#", b"example.com:80", b"a", b"http://a/b", b"http://", b"HTTP://a:b@c/?d", b"://", b"a://b",
    b"/a://b", b".", b"\\", b"/\\", b"/a;b=c", b"/%", b"/" + b"t" * 40, b"/\xc3\xbc", b"javascript:x", b"/a\x0b",
    b"/a\x0c?b", b"\x1f/", b"/[x]", b"http://[::1]/a", b"http://[a/b",
]

METHODS = [b"GET", b"get", b"Get", b"POST", b"CONNECT", b"OPTIONS", b"M", b"M#", b"G\x00T", b"", b"A" * 21, b"PROXY",
           b"QUERY", b"G-T", b"G\xcbT", b"PRI", b"PROXYX"]
VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.10", b"http/1.1",
            b"HTTP/1,1", b"HTTP/1.", b"HTTP/1.1 ", b"", b"HTTP/\xb2.1", b"HTTP/3.0", b"HTTP/ 1.1", b"HTTP/1.1\t"]

#: Bytes with a special meaning to some parser.
DANGEROUS = [
    bytes((code,)) for code in b"\x00\x01\x08\t\n\x0b\x0c\r\x1b\x1f !\"#%(),-/:;=?@_\x7f\x80\x85\xa0\xb2\xff0aAzZ"
]
ENDS = [b"\n", b"\r", b"\n\r", b"\r\r\n", b"\r\n\r\n", b"", b" \r\n", b"\t\r\n", b"\r\n ", b"\r\n\t", b"\x0b\r\n",
        b"\r\n\n", b"\n\n", b"\r\n\r"]
#: Replacements for the size line or the end of a chunk.
CHUNKS = [b"0", b"00", b"5", b"0x5", b"+5", b"-5", b" 5", b"5 ", b"5;", b"5;a", b"5 ; a=b", b"5;a=\"b",
          b"5;a=\"\\\"\"", b"5;=b", b"5;a=b c", b"5;a\nb", b"5;\xff", b"5_0", b"G", b"", b"ffffffff", b"5;a=\r",
          b"5\t", b"5\x0b", b"00000000000000000005"]

PROXIES = [
    b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 65536\r\n", b"PROXY UNKNOWN\r\n", b"PROXY TCP4 a b c d\r\n",
    b"PROXY \r\n", b"PROXY TCP4 192.0.2.1 198.51.100.1 +1 1_0\r\n", b"PROXY TCP4 192.0.2.1\x00 198.51.100.1 1 2\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24" + bytes(range(36)), b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x10\r\n\r\n\r\n\r\n\r\n\r\nGET ", b"\r\n\r\n\0\r\nQUIT\n\x21\x00\x00\x00",
    b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x00", b"\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\x00",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x04\n\n\r\n",
]

#: Settings of Gunicorn, by name.
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "unconventional": {"permit_unconventional_http_method": True, "permit_unconventional_http_version": True,
                       "casefold_http_method": True},
    "folding": {"permit_obsolete_folding": True, "strip_header_spaces": True},
    "dangerous": {"header_map": "dangerous"},
    "refuse": {"header_map": "refuse"},
    "forwarders": {"forwarder_headers": "SCRIPT_NAME,PATH_INFO,REMOTE_USER,CONTENT_LENGTH,X_FORWARDED_PROTO",
                   "secure_scheme_headers": {"X-FORWARDED-PROTO": "https", "X_SCHEME": "secure", "x-scheme": "secure"}},
    "anyone": {"forwarded_allow_ips": "*", "forwarder_headers": "*"},
    "tls": {"certfile": "server.pem", "secure_scheme_headers": {"X-FORWARDED-SSL": "on", "X-A": ""}},
    "small": {"limit_request_line": 40, "limit_request_fields": 4, "limit_request_field_size": 48},
    "unlimited": {"limit_request_line": 0, "limit_request_fields": 0, "limit_request_field_size": 0},
    "proxied": {"proxy_protocol": "v1"},
    "proxied v2": {"proxy_protocol": "v2"},
    "proxied auto": {"proxy_protocol": "auto"},
}


def configure(name: str) -> Config | None:
    """Return Gunicorn's configuration with these settings; None if this release lacks one of them."""
    config = Config()
    if "http_parser" in config.settings:
        config.set("http_parser", "python")
    for setting, value in SETTINGS[name].items():
        if setting == "proxy_protocol" and isinstance(config.settings[setting].default, bool):
            if value != "v1":
                return None
            value = True
        config.set(setting, value)
    return config
