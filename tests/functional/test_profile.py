"""``gworkers profile``: samples of what holds the hub, and exact times by request path."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading

import pytest

from gworkers.inspection import command_line
from gworkers.inspection.control_client import ControlError, ask
from gworkers.watch.control_address import addresses
from support.client import request
from support.waiting import until

pytestmark = pytest.mark.only(transport="tcp", parser="fast")


@pytest.fixture
def server(serve):
    return serve("traced:app")


def address_of(server):
    pid, = server.worker_pids()
    return until(lambda: next((each for each in addresses() if each.pid == pid), None), "the control socket")


class Profile:
    """A profile that runs while the test sends requests, until :meth:`end`."""

    def __init__(self, server):
        self._result = {}
        self._thread = threading.Thread(target=self._run, args=(address_of(server),))
        self._thread.start()
        until(lambda: server.ask("/trace")["caller"] == "call", "the profile")

    def _run(self, address):
        self._result = ask(address, {"command": "profile", "seconds": 2}, 30)

    def end(self):
        self._thread.join()
        return self._result


def test_times_are_exact_by_path(server):
    profile = Profile(server)
    client = server.connect()
    for _ in range(3):
        client.request("/hold?0.2")
    client.request("/wait?0.2")
    result = profile.end()
    paths = {name: (requests, seconds, longest) for name, requests, seconds, longest in result["paths"]}
    requests, seconds, longest = paths["/hold"]
    assert requests == 3
    assert 0.6 <= seconds < 2
    assert 0.2 <= longest < 0.6
    requests, seconds, longest = paths["/wait"]
    assert requests == 1
    assert longest <= seconds < 0.15
    assert paths["/trace"][0] >= 1


def test_samples_show_the_functions(server):
    profile = Profile(server)
    server.connect().request("/hold?0.7")
    result = profile.end()
    names = [name for name, _, _ in result["functions"]]
    held = sum(seconds for owner, stack, seconds in result["stacks"]
               if owner == "/hold" and "hold_the_hub" in [names[number] for number in stack])
    assert held > 0.4
    assert result["idle"] > 0.3
    total = result["idle"] + sum(seconds for _, _, seconds in result["stacks"])
    assert total == pytest.approx(result["seconds"], abs=0.5)


def test_worker_is_as_before_afterwards(start):
    server = start("traced:app")
    assert server.ask("/install")["caller"] == "serve"
    profile = Profile(server)
    during = server.ask("/trace")
    assert not during["installed"]
    assert server.ask("/trace")["calls"] > during["calls"]
    profile.end()
    # The next switch ends it.
    until(lambda: server.ask("/trace")["installed"], "its own function")
    after = server.ask("/trace")
    assert after["caller"] == "serve"
    assert server.ask("/trace")["calls"] > after["calls"]


def test_forked_child_is_not_profiled(server):
    profile = Profile(server)
    assert server.connect().request("/fork").status == 200
    server.wait_for_log("^trace function in the child: None$")
    profile.end()


def test_blocked_worker_is_sampled(server):
    address = address_of(server)
    client = server.connect()
    client.send(request("/hold?1.5"))
    until(lambda: ask(address, {"command": "stacks"}, 5)["requests"], "the request that blocks the hub")
    result = ask(address, {"command": "profile", "seconds": 0.5}, 10)
    assert {owner for owner, _, _ in result["stacks"]} == {"/hold"}
    assert client.receive().status == 200
    server.wait_for_log("The hub runs again")


def test_one_profile_runs_at_a_time_until_its_client_leaves(server):
    address = address_of(server)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(address.name)
        sock.sendall(b'{"command": "profile", "seconds": 3000}\n')
        until(lambda: server.ask("/trace")["caller"] == "call", "the profile")
        with pytest.raises(ControlError, match="another profile of this worker runs"):
            ask(address, {"command": "profile", "seconds": 1}, 10)
    until(lambda: server.ask("/trace")["caller"] == "serve", "the end of the profile")
    assert ask(address, {"command": "profile", "seconds": 0.1}, 10)["samples"] > 0


@pytest.mark.parametrize("seconds", [0, -1, 4000, "1", None])
def test_invalid_time_is_refused(server, seconds):
    with pytest.raises(ControlError, match="seconds must be a number above 0"):
        ask(address_of(server), {"command": "profile", "seconds": seconds}, 10)


def test_command_prints_the_paths_and_writes_the_samples(start, tmp_path, capsys):
    server = start("traced:app", workers=2)
    until(lambda: {*server.worker_pids()} <= {each.pid for each in addresses()}, "the control sockets")
    sent = threading.Thread(target=lambda: [server.connect().request("/hold?0.1") for _ in range(10)])
    sent.start()
    for name in ("profile.json", "profile.collapsed"):
        assert command_line.profile(["--seconds", "1.5", "-o", str(tmp_path / name), str(server.pid)]) == 0
    sent.join()
    out = capsys.readouterr().out
    assert len(re.findall(r"^Worker \d+: \d+ samples in \d\.\d s\. Hub: idle \d+%", out, re.MULTILINE)) == 4
    assert re.search(r"^  Path +Requests +Hub time +Per request +Longest stretch$", out, re.MULTILINE)
    assert re.search(r"^  /hold +\d+ +[\d.]+ (m?s) +1\d\d\.\d ms +\d\d\d\.\d ms$", out, re.MULTILINE)
    check_speedscope(json.loads((tmp_path / "profile.json").read_text()))
    for line in (tmp_path / "profile.collapsed").read_text().splitlines():
        assert re.fullmatch(r"worker \d+(;[^;]+)+ \d+", line)


def check_speedscope(content):
    """Check what https://www.speedscope.app/file-format-schema.json requires."""
    assert content["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = content["shared"]["frames"]
    for frame in frames:
        assert set(frame) <= {"name", "file", "line", "col"}
        assert isinstance(frame["name"], str)
        assert isinstance(frame.get("line", 1), int)
    assert content["profiles"]
    assert content["activeProfileIndex"] < len(content["profiles"])
    for profile in content["profiles"]:
        assert profile["type"] == "sampled"
        assert profile["unit"] in ("none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes")
        assert profile["startValue"] <= profile["endValue"]
        assert len(profile["samples"]) == len(profile["weights"])
        assert all(0 <= index < len(frames) for sample in profile["samples"] for index in sample)
        assert sum(profile["weights"]) == pytest.approx(profile["endValue"])


@pytest.mark.only(hub="gevent")
def test_file_that_cannot_be_written_is_an_error(server, tmp_path):
    pid = address_of(server).pid
    done = subprocess.run([sys.executable, "-m", "gworkers", "profile", "--seconds", "0.1", "-o", str(tmp_path),
                           str(pid)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "the samples cannot be written" in done.stderr
    assert "Which paths hold the hub" in done.stdout


@pytest.mark.only(hub="gevent")
@pytest.mark.parametrize("words", [["--seconds", "0", "1"], ["--seconds", "x", "1"], ["--seconds", "nan", "1"], []])
def test_invalid_usage_is_an_error(words, capsys):
    with pytest.raises(SystemExit) as raised:
        command_line.profile(words)
    assert raised.value.code == 2
