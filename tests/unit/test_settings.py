from __future__ import annotations

import dataclasses
import math
import os.path
import subprocess
import sys
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest

from gworkers.errors import GworkersError, SettingsError
from gworkers.settings import PREFIX, Settings, is_kubernetes_variable, load_hook

pytestmark = pytest.mark.smoke

SECONDS = [
    "handshake_timeout",
    "head_timeout",
    "body_timeout",
    "write_timeout",
    "linger_timeout",
    "drain_keepalive",
    "drain_delay",
    "block_warning",
    "boot_timeout",
    "request_timeout",
    "time_slice",
]

WHOLE_NUMBERS = ["discard_body_limit", "max_rss", "max_rss_jitter", "max_active_requests"]


def resolve(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    return Settings.resolve(overrides, environ or {})


def refusal(environ: Mapping[str, str] | None = None, **overrides: object) -> str:
    with pytest.raises(SettingsError) as caught:
        resolve(environ, **overrides)
    message = str(caught.value)
    assert message.isprintable(), "Gunicorn prints it as one line"
    return message


def test_defaults():
    assert resolve() == Settings(
        request_greenlets="reused",
        handshake_timeout=10.0,
        head_timeout=30.0,
        body_timeout=60.0,
        write_timeout=60.0,
        linger_timeout=2.0,
        drain_keepalive=2.0,
        drain_delay=0.0,
        readiness_file=None,
        status_address=None,
        block_warning=1.0,
        request_timeout=0.0,
        request_timeout_action="release",
        max_active_requests=0,
        on_client_gone="ignore",
        boot_timeout=300.0,
        max_rss=0,
        max_rss_jitter=0,
        discard_body_limit=65536,
        time_slice=0.01,
        patch=("all",),
        post_patch=None,
        psycopg2="report",
        asyncio_thread=False,
        access_log_json=False,
        silence=(),
    )


def test_variables_that_a_worker_sets_are_no_settings():
    variables = {"GWORKERS_NUMBER": "1", "GWORKERS_SLOT": "x", "GWORKERS_STATUS_SOCKET": "5,6,unix:/x",
                 "GWORKERS_BACKGROUND_FILE": "5,6,7"}
    assert resolve(variables) == Settings()


def test_every_setting_is_covered_by_the_tests_below():
    names = {field.name for field in dataclasses.fields(Settings)}
    assert names == {*SECONDS, *WHOLE_NUMBERS, "request_greenlets", "patch", "silence", "post_patch", "psycopg2",
                     "readiness_file", "status_address", "request_timeout_action", "on_client_gone", "access_log_json",
                     "asyncio_thread"}


@pytest.mark.parametrize(("text", "value"), [
    ("1", True), ("true", True), ("True", True), ("YES", True), (" on ", True),
    ("0", False), ("false", False), ("False", False), ("no", False), ("off", False)])
def test_switch_from_the_environment(text, value):
    assert resolve({"GWORKERS_ACCESS_LOG_JSON": text}).access_log_json is value


@pytest.mark.parametrize("text", ["", " ", "2", "00", "y", "t", "enable", "None", "true,", "tru\u0065\u0301"])
def test_other_word_for_a_switch_is_refused(text):
    message = refusal({"GWORKERS_ACCESS_LOG_JSON": text})
    assert message.startswith("gworkers setting access_log_json is '")
    assert "Expected: True or False; in the environment 1, true, yes or on, or 0, false, no or off" in message


def test_switch_from_configure_is_a_bool():
    assert resolve(access_log_json=True).access_log_json is True
    assert resolve(access_log_json=False).access_log_json is False
    for value in (1, 0, "true", "1", None, [True], 1.0):
        assert "Expected: True or False" in refusal(access_log_json=value)


@pytest.mark.parametrize("name", ["patch", "silence"])
def test_list_of_names_from_text_and_sequences(name):
    accepted: list[Any] = ["one,two", " one , two,", ["one", "two"], ("one", "two")]
    for value in accepted:
        assert getattr(resolve(**{name: value}), name) == ("one", "two")
    assert getattr(resolve({PREFIX + name.upper(): "one,two"}), name) == ("one", "two")
    assert getattr(resolve({PREFIX + name.upper(): ""}), name) == ()
    refused: list[Any] = [1, None, [1], b"one"]
    for value in refused:
        assert f"setting {name} is " in refusal(**{name: value})


def test_post_patch_is_a_function_or_an_import_path():
    assert resolve(post_patch=print).post_patch is print
    assert resolve({"GWORKERS_POST_PATCH": "os.path:join"}).post_patch == "os.path:join"
    assert load_hook("os.path:join") is os.path.join
    assert load_hook(print) is print
    for value in (1, "os.path.join", "os.path:", ":join", "os path:join"):
        assert "setting post_patch is " in refusal(post_patch=value)


def test_readiness_file_is_a_path():
    assert resolve(readiness_file="/run/ready").readiness_file == "/run/ready"
    assert resolve({"GWORKERS_READINESS_FILE": "ready"}).readiness_file == "ready"
    assert resolve(readiness_file=None).readiness_file is None
    for value in (1, "", b"ready", "a\0b", ["ready"]):
        assert "setting readiness_file is " in refusal(readiness_file=value)
    assert "Expected: a path" in refusal({"GWORKERS_READINESS_FILE": ""})


def test_status_address_has_two_forms():
    for value in ("127.0.0.1:9100", "localhost:0", "[::1]:9100", "unix:/run/status", "unix:relative path"):
        assert resolve(status_address=value).status_address == value
        assert resolve({"GWORKERS_STATUS_ADDRESS": value}).status_address == value
    assert resolve(status_address=None).status_address is None
    wrong: list[Any] = [1, "", "9100", ":9100", "localhost", "localhost:http", "::1:9100", "http://localhost:9100",
                        "unix:", "unix:a\0b", "a b:1"]
    for value in wrong:
        assert "setting status_address is " in refusal(status_address=value)


def test_psycopg2_is_one_of_two_choices():
    assert resolve(psycopg2="wait").psycopg2 == "wait"
    assert "'report' or 'wait'" in refusal(psycopg2="green")


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        resolve().head_timeout = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0.0", 0),
        ("7", 7),
        ("007", 7),
        ("2.5", 2.5),
        (".25", 0.25),
        (" 3 ", 3),
        ("1" * 18, 1e18 / 9),
    ],
)
def test_seconds_from_the_environment(name, text, seconds):
    value = getattr(resolve({PREFIX + name.upper(): text}), name)
    assert type(value) is float
    assert value == pytest.approx(seconds, rel=1e-15)


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", [0, 0.0, 1, 2.5, 86400, sys.float_info.max])
def test_seconds_from_configure(name, value):
    configured = getattr(resolve(**{name: value}), name)
    assert type(configured) is float
    assert configured == value


@pytest.mark.parametrize("name", WHOLE_NUMBERS)
@pytest.mark.parametrize(("text", "size"), [("0", 0), ("1", 1), ("65536", 65536), (" 7 ", 7)])
def test_bytes_from_the_environment(name, text, size):
    value = getattr(resolve({PREFIX + name.upper(): text}), name)
    assert type(value) is int
    assert value == size


@pytest.mark.parametrize("name", WHOLE_NUMBERS)
@pytest.mark.parametrize("size", [0, 1, 10**15])
def test_bytes_from_configure(name, size):
    assert getattr(resolve(**{name: size}), name) == size


@pytest.mark.parametrize("choice", ["reused", "fresh"])
def test_choice_from_the_environment_and_from_configure(choice):
    assert resolve({"GWORKERS_REQUEST_GREENLETS": choice}).request_greenlets == choice
    assert resolve(request_greenlets=choice).request_greenlets == choice


WORDS = ["", " ", "ten", "nan", "inf", "Infinity", "True", "None", "10s", "7\x00", "7\nworkers"]
ALMOST_NUMBERS = ["-1", "-0", "+1", "1e3", "1_000", "0x10", "1,5", "1 2", "1.", "\u0663", "9" * 19, "9" * 5000]


@pytest.mark.parametrize("name", [*SECONDS, *WHOLE_NUMBERS])
@pytest.mark.parametrize("text", [*WORDS, *ALMOST_NUMBERS])
def test_invalid_number_in_the_environment_is_refused(name, text):
    variable = PREFIX + name.upper()
    message = refusal({variable: text})
    assert message.startswith(f"gworkers setting {name} is '")
    assert variable in message
    assert "0 or more" in message
    assert len(message) < 250, "a long value is abbreviated"


def test_fraction_of_a_byte_in_the_environment_is_refused():
    assert "'1.5'" in refusal({"GWORKERS_DISCARD_BODY_LIMIT": "1.5"})


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no repr")


class TwoLines:
    def __repr__(self) -> str:
        return "one\ntwo"


NOT_NUMBERS = [True, False, None, "10", "", b"10", 1j, Fraction(1, 2), [1], {}, Unprintable(), TwoLines()]
OUT_OF_RANGE = [-1, -0.5, math.nan, math.inf, -math.inf, 10**400, -(10**400)]


@pytest.mark.parametrize("name", [*SECONDS, *WHOLE_NUMBERS])
@pytest.mark.parametrize("value", [*NOT_NUMBERS, *OUT_OF_RANGE], ids=lambda value: type(value).__name__)
def test_invalid_number_in_configure_is_refused(name, value):
    message = refusal(**{name: value})
    assert message.startswith(f"gworkers setting {name} is ")
    assert "(configure())" in message
    assert "0 or more" in message


def test_fraction_of_a_byte_in_configure_is_refused():
    assert "whole number of bytes" in refusal(discard_body_limit=1.0)


@pytest.mark.parametrize(
    "value", ["", "Reused", "reused ", "new", None, True, 0, ["reused"], b"fresh", TwoLines()]
)
def test_unknown_choice_is_refused(value):
    message = refusal(request_greenlets=value)
    assert "'reused' or 'fresh'" in message
    assert "(configure())" in message
    if isinstance(value, str):
        assert "GWORKERS_REQUEST_GREENLETS" in refusal({"GWORKERS_REQUEST_GREENLETS": value})


def test_configure_wins_over_the_environment_and_both_over_the_defaults():
    settings = resolve({"GWORKERS_HEAD_TIMEOUT": "5", "GWORKERS_BODY_TIMEOUT": "6"}, head_timeout=7)
    assert (settings.head_timeout, settings.body_timeout, settings.write_timeout) == (7.0, 6.0, 60.0)


def test_invalid_value_is_refused_even_if_a_later_layer_overrides_it():
    assert "'soon'" in refusal({"GWORKERS_HEAD_TIMEOUT": "soon"}, head_timeout=7)


def test_unknown_name_in_configure_is_refused_with_a_suggestion():
    message = refusal(head_timout=5)
    assert message.startswith("gworkers has no setting 'head_timout' (configure()): ")
    assert message.endswith("Did you mean head_timeout? [invalid-setting]")


@pytest.mark.parametrize(
    "variable", ["GWORKERS_HEAD_TIMOUT", "GWORKERS_Head_Timeout", "GWORKERS_head_timeout"]
)
def test_unknown_variable_is_refused_with_a_suggestion(variable):
    message = refusal({variable: "5"})
    assert f"{variable!r} (the environment)" in message
    assert message.endswith("Did you mean GWORKERS_HEAD_TIMEOUT? [invalid-setting]")


@pytest.mark.parametrize("variable", ["GWORKERS_", "GWORKERS_XQ", "GWORKERS_\n"])
def test_unknown_variable_without_a_similar_one_lists_all_variables(variable):
    message = refusal({variable: "5"})
    for field in dataclasses.fields(Settings):
        assert PREFIX + field.name.upper() in message


def test_gunicorns_own_settings_are_not_gworkers_settings():
    assert "no setting 'keepalive'" in refusal(keepalive=5)


#: Environment variables that Kubernetes sets for a Service: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
SERVICE_LINKS = {
    "{}_SERVICE_HOST": "10.0.0.11", "{}_SERVICE_PORT": "8000", "{}_SERVICE_PORT_HTTP": "8000",
    "{}_SERVICE_PORT_METRICS_HTTP": "9000", "{}_PORT": "tcp://10.0.0.11:8000", "{}_PORT_8000_TCP": "tcp://10.0.0.11:8000",
    "{}_PORT_8000_TCP_PROTO": "tcp", "{}_PORT_8000_TCP_PORT": "8000", "{}_PORT_8000_TCP_ADDR": "10.0.0.11",
    "{}_PORT_53_UDP": "udp://10.0.0.11:53", "{}_PORT_9_SCTP_PROTO": "sctp",
}


@pytest.mark.parametrize("service", ["GWORKERS", "GWORKERS_WEB", "GWORKERS_MY_SHOP"])
def test_variables_of_a_kubernetes_service_are_ignored(service):
    environ = {name.format(service): value for name, value in SERVICE_LINKS.items()}
    assert resolve(environ) == Settings()
    assert set(Settings.origins({}, environ).values()) == {"default"}
    assert resolve({**environ, "GWORKERS_HEAD_TIMEOUT": "5"}).head_timeout == 5.0


@pytest.mark.parametrize("variable", [name.format("GWORKERS") for name in SERVICE_LINKS])
def test_each_variable_of_a_service_called_gworkers_is_ignored_by_itself(variable):
    assert resolve({variable: "tcp://10.0.0.11:8000"}) == Settings()


@pytest.mark.parametrize("variable", [
    "GWORKERS_PORTS", "GWORKERS_PORT_PATCH", "GWORKERS_PORT_8000", "GWORKERS_PORT_8000_TCP_HOST", "GWORKERS_SERVICE",
    "GWORKERS_SERVICE_TIMEOUT", "GWORKERS_BIND_PORT", "GWORKERS_WEB_SERVICE_PORT", "GWORKERS_REPORT", "GWORKERS__PORT"])
def test_variables_similar_to_those_of_a_service_are_refused(variable):
    assert f"{variable!r} (the environment)" in refusal({variable: "8000", "GWORKERS_SERVICE_HOST": "10.0.0.11"})


def test_no_setting_has_the_name_of_a_service_variable():
    for field in dataclasses.fields(Settings):
        variable = PREFIX + field.name.upper()
        # The Services that would set it.
        services = {f"{variable[:end]}_SERVICE_HOST": "10.0.0.11" for end in range(len(PREFIX) - 1, len(variable))}
        assert not is_kubernetes_variable(variable, services)


def test_other_variables_are_ignored():
    environ = {"PATH": "/bin", "GWORKERS": "x", "gworkers_head_timeout": "x", "MY_GWORKERS_HEAD_TIMEOUT": "x"}
    assert resolve(environ) == Settings()


def test_arguments_are_not_modified():
    overrides, environ = {"head_timeout": 1}, {"GWORKERS_BODY_TIMEOUT": "2"}
    Settings.resolve(overrides, environ)
    assert (overrides, environ) == ({"head_timeout": 1}, {"GWORKERS_BODY_TIMEOUT": "2"})


def test_settings_error_is_a_runtime_error_which_gunicorn_prints_as_a_line():
    assert issubclass(SettingsError, GworkersError)
    assert issubclass(SettingsError, RuntimeError)


def test_reading_settings_imports_no_hub_library():
    # The master reads settings and must not import a hub library.
    code = "import sys, gworkers.settings; print([m for m in ('gevent', 'eventlet') if m in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert answer.stdout.strip() == "[]"
