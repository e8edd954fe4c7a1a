"""``gworkers convert``: each row of the table of uWSGI's options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gworkers.convert.command_line import main
from gworkers.convert.conversion import ROWS, find
from gworkers.convert.row import Row
from gworkers.convert.rules import missing, nothing
from gworkers.convert.table import TABLE
from gworkers.convert.writing import GROUPS
from support.converted import Converted
from support.uwsgi_page import PAGE, page

pytestmark = pytest.mark.smoke

MB = 1024 * 1024

FORWARDED = '%({x-forwarded-for}i)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'

#: Lines of a configuration, and the settings that they become. Those of gworkers are below "own".
EXAMPLES: list[tuple[str, dict[str, Any]]] = [
    ("http = :80", {"bind": ["0.0.0.0:80"]}),
    ("http-socket = [::]:80", {"bind": ["[::]:80"]}),
    ("http-socket = /run/x.sock", {"bind": ["unix:/run/x.sock"]}),
    ("http-socket = x.sock", {"bind": ["unix:x.sock"]}),
    ("http-socket = @x", {"bind": ["unix:@x"]}),
    ("http-socket = 127.0.0.1:80 ; a comment", {"bind": ["127.0.0.1:80"]}),
    ("http-socket = 127.0.0.1:80\nhttp-socket = 127.0.0.1:81", {"bind": ["127.0.0.1:80", "127.0.0.1:81"]}),
    ("shared-socket = :80\nhttp-socket = =0", {"bind": ["0.0.0.0:80"]}),
    ("socket = /run/x.sock", {"bind": ["unix:/run/x.sock"], "access_log_format": FORWARDED}),
    ("fastcgi-socket = :9000", {"bind": ["0.0.0.0:9000"]}),
    ("https = :443,/c,/k", {"bind": ["0.0.0.0:443"], "certfile": "/c", "keyfile": "/k"}),
    ("https = :443,c,k,HIGH,!ca", {"bind": ["0.0.0.0:443"], "certfile": "c", "keyfile": "k", "ciphers": "HIGH",
                                   "ca_certs": "ca", "cert_reqs": 2}),
    ("https = :443,c,k,,ca", {"bind": ["0.0.0.0:443"], "certfile": "c", "keyfile": "k", "ca_certs": "ca",
                              "cert_reqs": 1}),
    ("https2 = addr=:443,cert=c,key=k", {"bind": ["0.0.0.0:443"], "certfile": "c", "keyfile": "k"}),
    ("http-to-https = :80", {}),
    ("chmod-socket = 660", {"umask": 0o117}),
    ("chmod-socket", {"umask": 0o111}),
    ("listen = 100", {"backlog": 100}),
    ("reuse-port = 1", {"reuse_port": True}),
    ("enable-proxy-protocol = true", {"proxy_protocol": True}),
    ("module = a.b", {"wsgi_app": "a.b:application"}),
    ("module = a.b:c\ncallable = d", {"wsgi_app": "a.b:c"}),
    ("module = a.b\ncallable = d", {"wsgi_app": "a.b:d"}),
    ("module = $(M)\ncallable = d", {"wsgi_app": "value of M:d"}),
    ("wsgi-file = a/b.py", {"wsgi_app": "a.b:application"}),
    ("wsgi-file = /x/a/b.py", {"wsgi_app": "b:application", "pythonpath": "/x/a"}),
    ("wsgi-file = /x/a/b.py\nchdir = /x/", {"wsgi_app": "a.b:application", "chdir": "/x/"}),
    ("wsgi-file = $(B)/a/b.py\nchdir = $(B)", {"wsgi_app": "a.b:application", "chdir": "value of B"}),
    ("wsgi-file = $(B)/a/b.py", {"wsgi_app": "b:application", "pythonpath": "value of B/a"}),
    ("wsgi-file = ../a.py\nchdir = /x/y", {"wsgi_app": "a:application", "chdir": "/x/y", "pythonpath": "/x"}),
    ("wsgi-file = my-site.py", {"wsgi_app": "my-site:application"}),
    ("mount = /=a:b", {"wsgi_app": "a:b"}),
    ("mount = /p/=a.py\ncallable = c", {"wsgi_app": "a:c", "raw_env": ["SCRIPT_NAME=/p"]}),
    ("chdir = /x", {"chdir": "/x"}),
    ("pythonpath = a\npp = b", {"pythonpath": "a,b"}),
    ("virtualenv = /v", {}),
    ("env = A=b c", {"raw_env": ["A=b c"]}),
    ("paste = config:/x.ini", {"paste": "/x.ini"}),
    ("disable-sendfile = true", {"sendfile": False}),
    ("lazy-apps = true", {}),
    ("processes = 3", {"workers": 3}),
    ("gevent = 100", {"worker_connections": 100}),
    ("uid = 33", {"user": "33"}),
    ("gid = g", {"group": "g"}),
    ("umask = 022", {"umask": 0o022}),
    ("umask = 022\nchmod-socket = 666", {"umask": 0o111}),
    ("pidfile = /p", {"pidfile": "/p"}),
    ("procname = x", {"proc_name": "x"}),
    ("cheaper = 2", {}),
    ("hook-master-start = unix_signal:15 gracefully_kill_them_all", {}),
    ("harakiri = 9", {"own": {"request_timeout": 9}, "timeout": 9}),
    ("harakiri = 0", {}),
    ("harakiri = 45", {"own": {"request_timeout": 45}, "timeout": 45, "graceful_timeout": 45}),
    ("harakiri = 90", {"own": {"request_timeout": 90}, "timeout": 90, "graceful_timeout": 60}),
    ("harakiri = 90\nreload-mercy = 8", {"own": {"request_timeout": 90}, "timeout": 90, "graceful_timeout": 8}),
    ("harakiri = $(N)", {"own": {"request_timeout": 12345}, "timeout": 12345, "graceful_timeout": 60}),
    ("http-timeout = 9", {"own": {"body_timeout": 9, "write_timeout": 9}}),
    ("so-send-timeout = 9", {"own": {"write_timeout": 9}}),
    ("http-headers-timeout = 9", {"own": {"head_timeout": 9}}),
    ("http-keepalive = 9", {"keepalive": 9}),
    ("http-keepalive = true", {}),
    ("max-requests = 9", {"max_requests": 9}),
    ("max-requests-delta = 9", {"max_requests_jitter": 9}),
    ("reload-on-rss = 9", {"own": {"max_rss": 9 * MB}}),
    ("evil-reload-on-rss = 9", {"own": {"max_rss": 9 * MB}}),
    ("worker-reload-mercy = 9\nreload-mercy = 8", {"graceful_timeout": 9}),
    ("reload-mercy = 8", {"graceful_timeout": 8}),
    ("buffer-size = 5000", {"limit_request_line": 5000, "limit_request_field_size": 5000}),
    ("buffer-size = $(N)", {"limit_request_line": 8190, "limit_request_field_size": 12345}),
    ("py-autoreload = 2", {"reload": True}),
    ("py-autoreload = 0", {}),
    ("py-autoreload = $(N)", {"reload": True}),
    ("py-autoreload = $(OFF)", {"reload": False}),
    ("pidfile = /p\nsafe-pidfile = /q", {"pidfile": "/q"}),
    ("daemonize = /l", {"daemon": True, "errorlog": "/l", "accesslog": "/l", "capture_output": True}),
    ("logto = /l", {"errorlog": "/l", "accesslog": "/l", "capture_output": True}),
    ("logger = app file:/l", {"errorlog": "/l", "accesslog": "/l", "capture_output": True}),
    ("logto = /l\ndisable-logging = true", {"errorlog": "/l", "capture_output": True, "accesslog": None}),
    ("logto = 10.0.0.1:514", {}),
    ("logger = syslog", {}),
    ("req-logger = file:/r", {"accesslog": "/r"}),
    ("req-logger = stdio", {"accesslog": "-"}),
    ("log-format = %(method) %(var.HTTP_A_B) %(var.X) 100%%", {
        "access_log_format": "%(m)s %({a-b}i)s %({X}e)s 100%%"}),
    ("log-x-forwarded-for = true", {"access_log_format": FORWARDED}),
    ("socket = /s\nlog-format = %(addr) %(uri)", {
        "bind": ["unix:/s"], "access_log_format": "%({x-forwarded-for}i)s %({raw_uri}e)s"}),
    ("socket = /s\nhttp = 127.0.0.1:80\nlog-format = %(addr)", {
        "bind": ["unix:/s", "127.0.0.1:80"], "access_log_format": "%(h)s"}),
    ("socket = /s\ndisable-logging = true", {"bind": ["unix:/s"], "accesslog": None}),
    ("disable-logging = true", {"accesslog": None}),
    ("disable-logging = false", {}),
    ("stats = :91", {"own": {"status_address": "0.0.0.0:91"}}),
    ("stats = /s", {"own": {"status_address": "unix:/s"}}),
    ("stats-push = statsd:h:8125,p", {"statsd_host": "h:8125", "statsd_prefix": "p"}),
    ("stats-push = file:/x", {}),
    ("cron = 1 2 -1 -1 -5 x y", {}),
    ("cron2 = hour=3 x y", {}),
    # Numbers and switches that are not constant.
    ("workers = %k", {"workers": "processors"}),
    ("workers = $(N)", {"workers": 12345}),
    ("n = 3\nworkers = %(n + 2)", {"workers": 5}),
    ("reuse-port = $(M)", {"reuse_port": True}),
    ("chdir = %(nothing)", {"chdir": "%(nothing)"}),
    ("n = a\nn = b\nchdir = %(n)", {"chdir": "a"}),
    ("workers = 1\nworkers = 2", {"workers": 2}),
    ("if-env = NONE\nworkers = 2\nendif =\nworkers = 1", {"workers": 1}),
    ("if-env = N\nworkers = 2\nend-if\nif-not-env = N\nworkers = 1\nendif", {"workers": 2}),
    ("if-env = N=12345\nworkers = 2\nendif", {"workers": 2}),
    ("if-opt = a\nworkers = 2\nendif\na=1\nif-opt = a=1\nworkers = 3\nendif", {"workers": 3}),
    ("if-not-opt = a\nworkers = 2\nendif", {"workers": 2}),
    ("if-exists = /\nchdir = %(_)\nendif", {"chdir": "/"}),
    ("if-not-exists = /\nworkers = 2\nendif", {}),
    ("if-reload = true\nworkers = 2\nendif", {}),
    ("for = a b\npp = %(_)/c\nendfor", {"pythonpath": "a/c,b/c"}),
    ("for-times = 2\npp = x%(_)\nendfor", {"pythonpath": "x1,x2"}),
    ("set-placeholder = a = b\nchdir = %(a)", {"chdir": "b"}),
    ("set-ph = a=b=c\nchdir = %(a)", {"chdir": "b=c"}),
    ("chdir = %d%n.%e%%", {"chdir": "DIRECTORY/uwsgi.ini%"}),
]  # fmt: skip
ENVIRON = {"N": "12345", "OFF": "0", "M": "value of M", "B": "value of B"}


def convert(directory: Path, capfd: pytest.CaptureFixture[str], text: str) -> Converted:
    file = directory / "uwsgi.ini"
    file.write_text(f"[uwsgi]\nmaster = 1\n{text}\n")
    assert main([str(file)]) == 0
    return Converted(*capfd.readouterr())


@pytest.mark.parametrize(("text", "wanted"), EXAMPLES, ids=[text for text, _ in EXAMPLES])
def test_option_is_converted(text: str, wanted: dict[str, Any], tmp_path: Path, capfd: Any,
                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: "processors")
    found = convert(tmp_path, capfd, text)
    names = found.settings(**ENVIRON)
    settings = {name: value for name, value in names.items() if name in found.assigned and name != "worker_class"}
    if "own" in names:
        settings["own"] = names["own"]
    wanted = {name: value.replace("DIRECTORY", str(tmp_path)) if isinstance(value, str) else value
              for name, value in wanted.items()}
    assert settings == {name: value for name, value in {"accesslog": "-", **wanted}.items() if value is not None}


def test_each_row_that_is_converted_has_an_example() -> None:
    used = {find(line.partition(" = ")[0]) for text, _ in EXAMPLES for line in text.split("\n")}
    assert [row.names for row in TABLE if row.rule not in (nothing, missing) and row not in used] == []


def rows(rule: Any) -> list[Any]:
    return [pytest.param([name.replace("*", "x") for name in row.names.split()], id=row.names.split()[0])
            for row in TABLE if row.rule is rule]


@pytest.mark.parametrize("names", rows(nothing))
def test_option_needs_nothing(names: list[str], tmp_path: Path, capfd: Any) -> None:
    found = convert(tmp_path, capfd, "\n".join(f"{name} = 1" for name in names) + "\nmodule = a\nhttp = 127.0.0.1:80")
    assert found.notes == ""
    assert found.assigned == ["wsgi_app", "bind", "worker_class", *["accesslog"]["disable-logging" in names:]]


@pytest.mark.parametrize("names", rows(missing))
def test_option_has_advice(names: list[str], tmp_path: Path, capfd: Any) -> None:
    found = convert(tmp_path, capfd, "\n".join(f"{name} = 1" for name in names) + "\nmodule = a")
    assert found.noted == names
    assert "wrong" not in found.notes
    assert found.assigned == ["wsgi_app", "worker_class", "accesslog"]


def test_no_option_has_two_rows() -> None:
    names = [name for row in TABLE for name in row.names.split()]
    assert sorted(names) == sorted(ROWS)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.names.split()[0])
def test_each_row_is_a_text(row: Row) -> None:
    assert row.here
    assert "`" not in row.advice
    assert "|" not in row.here


def test_each_setting_is_written() -> None:
    # The others would be lost.
    written = {name for group in GROUPS for name in group}
    assert {name for _, wanted in EXAMPLES for name in wanted} - {"own"} <= written


def test_page_has_the_rows() -> None:
    assert PAGE.read_text() == page(PAGE.read_text()), "cd tests && python -m support.uwsgi_page"
