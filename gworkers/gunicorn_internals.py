"""What gworkers needs of Gunicorn's internals, as data.

Gunicorn documents its settings, its hooks and its signals. gworkers also calls, overrides and reads names that a
release may change. All of them are declared here; :mod:`gworkers.gunicorn_differences` compares them with the
installed Gunicorn. A test finds each use in the source. It fails if one is not declared, or if a declared name is not
used.
"""
from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from gworkers.versions import Version

#: The newest release that the tests have passed on.
TESTED: Version = (27, 0, 1)
#: Higher than every release.
NO_END: Version = (sys.maxsize,)


class Feature(Enum):
    """A part of gworkers that depends on Gunicorn's internals, and the text of the finding that it is off."""

    SERVING = "Workers cannot start", "every worker needs it"
    TLS = "TLS is off", "a worker cannot serve HTTPS"
    MANAGED_RELOADS = "Managed reloads are off", (
        "reloads and the replacement of workers are Gunicorn's own, so old workers may stop before new workers are "
        "ready; boot_timeout, readiness_file and status_address have no "
        "effect")
    OWN_SOCKETS = "Late listening with reuse_port is off", (
        "the kernel queues connections for a worker that has not loaded the application yet")
    CONTROL_SERVER = "The wait for Gunicorn's control server is off", (
        "a stop or a reload soon after the start may take two seconds longer")
    STRICT_PARSER = "Strict requests and the fast parser are off", (
        "Gunicorn's parser alone decides whether a request is valid, and trailers are discarded")
    REFUSALS = "Exact statuses for invalid requests are off", "some invalid requests are answered with status 400"
    ACCESS_LOG = "The access log is off", "requests are not logged"
    FAST_ACCESS_LOG = "The fast access log is off", "Gunicorn's logger formats each line, which takes more CPU time"
    EXTENSIONS = "Gunicorn's extensions for applications are off", (
        "files are sent without sendfile, or the Server field says only gunicorn")
    RELOADER = "The management of the setting reload is off", (
        "a worker stops before its successor is ready, and ends if its application cannot be loaded")
    ADVICE = "Some advice is off", "some mistakes in the configuration are not reported, and errors are less clear"
    DOCTOR = "The command doctor is off", "it loads the configuration as Gunicorn does"
    SCRIPT = "gworkers.serve() is off", "a script cannot start a server"

    def __init__(self, state: str, loss: str) -> None:
        #: what is turned off, as a sentence
        self.state = state
        #: what that means
        self.loss = loss


def _mapping(**names: str) -> Mapping[str, str]:
    return names


@dataclass(frozen=True)
class Need:
    """Names of one module or class of Gunicorn's that one feature depends on.

    Parameters are given as ``"self graceful="``: names in their order, with ``=`` behind those that have a default.
    """

    #: a module, or a class as ``module:Class``
    owner: str
    feature: Feature
    #: the folders and top-level modules of gworkers that use these names
    used_in: str
    #: classes, exceptions and constants of a module; attributes of a class or of its instances; settings of ``Config``
    names: str = ""
    #: functions that gworkers calls, with the parameters that it may pass
    calls: Mapping[str, str] = field(default_factory=dict)
    #: methods that gworkers overrides, with all of their parameters
    overrides: Mapping[str, str] = field(default_factory=dict)
    #: functions, or ``*`` for all methods of the class together, with the names that they must use: otherwise an
    #: override is never called, or a value never read
    relies: Mapping[str, str] = field(default_factory=dict)
    #: the first release that has these names, and the first one that no longer needs to have them
    since: Version = ()
    until: Version = NO_END


ARBITER = "gunicorn.arbiter:Arbiter"
_WORKER = "gunicorn.workers.base:Worker"
_CONFIG = "gunicorn.config:Config"
_REQUEST = "gunicorn.http.message:Request"
_LOGGER = "gunicorn.glogging:Logger"
_ERRORS = "gunicorn.http.errors"

#: The first release whose arbiter waits on a queue of signals. Older ones keep signals in a list and wait on a pipe.
SIGNAL_QUEUE: Version = (24,)
#: The first release that has a control server.
CONTROL_SERVER: Version = (25, 1)

NEEDS = (
    # A worker process

    Need(_WORKER, Feature.SERVING, "worker/ serving/ background/",
         names="PIPE alive app booted cfg log max_requests nr pid ppid sockets timeout wsgi",
         calls=_mapping(__init__="self age ppid sockets app timeout cfg log"),
         overrides=_mapping(
             run="self", notify="self", init_process="self", init_signals="self", load_wsgi="self",
             handle_exit="self sig frame", handle_quit="self sig frame", handle_usr1="self sig frame",
             handle_abort="self sig frame"),
         relies=_mapping(init_process="init_signals load_wsgi run", notify="tmp")),
    Need(_CONFIG, Feature.SERVING, "checks/ http1/ serving/ worker/", names="""
            access_log_format accesslog address backlog disable_redirect_access_to_syslog forwarded_allow_ips
            graceful_timeout is_ssl keepalive limit_request_field_size limit_request_fields limit_request_line logconfig
            logconfig_dict paste post_worker_init preload_app proxy_protocol reload secure_scheme_headers sendfile
            settings suppress_ragged_eofs syslog uid worker_connections worker_int worker_tmp_dir workers
         """),
    Need(_LOGGER, Feature.SERVING, "logs/ worker/",
         names="debug info warning error exception loglevel reopen_files"),
    Need("gunicorn.app.base:BaseApplication", Feature.SERVING, "worker/", names="cfg",
         calls=_mapping(wsgi="self")),
    Need("gunicorn.sock:BaseSocket", Feature.SERVING, "serving/", names="close sock"),
    Need("gunicorn.config:Setting", Feature.SERVING, "checks/ serving/", names="default", calls=_mapping(get="self")),
    Need("gunicorn.sock", Feature.TLS, "checks/ serving/", calls=_mapping(ssl_context="conf")),
    Need("gunicorn.http.wsgi", Feature.SERVING, "http1/", calls=_mapping(base_environ="cfg")),
    Need("gunicorn.http.wsgi", Feature.EXTENSIONS, "serving/", names="FileWrapper"),
    Need("gunicorn", Feature.EXTENSIONS, "serving/", names="SERVER"),
    Need("gunicorn.util", Feature.RELOADER, "worker/", calls=_mapping(make_fail_app="msg")),
    Need(_WORKER, Feature.RELOADER, "worker/", relies=_mapping(init_process="reloader_engines")),
    Need("gunicorn.reloader", Feature.RELOADER, "worker/", names="reloader_engines"),
    Need(_CONFIG, Feature.OWN_SOCKETS, "master/ worker/", names="address reuse_port",
         calls=_mapping(set="self name value")),
    Need(ARBITER, Feature.OWN_SOCKETS, "master/", relies=_mapping(spawn_worker="reuse_port"),
         since=SIGNAL_QUEUE),

    # Request heads

    Need(_REQUEST, Feature.SERVING, "http1/",
         names="body fragment headers method must_close path proxy_protocol_info query scheme uri version",
         calls=_mapping(__init__="self cfg unreader peer_addr req_number=")),
    Need("gunicorn.http.body:Body", Feature.SERVING, "http1/", names="reader"),
    Need("gunicorn.http.body:LengthReader", Feature.SERVING, "http1/", names="length"),
    Need("gunicorn.http.unreader", Feature.SERVING, "http1/", names="IterUnreader"),
    Need("gunicorn.http.unreader:IterUnreader", Feature.SERVING, "http1/",
         calls=_mapping(__init__="self iterable")),
    Need(_ERRORS, Feature.SERVING, "http1/", names="NoMoreData ParseException"),
    Need(_REQUEST, Feature.STRICT_PARSER, "http1/",
         overrides=_mapping(parse_request_line="self line_bytes", parse_headers="self data from_trailer=",
                            set_body_reader="self"),
         relies={"*": "parse_headers parse_request_line set_body_reader"}),
    Need("gunicorn.http.body", Feature.STRICT_PARSER, "http1/", names="ChunkedReader"),
    Need(_ERRORS, Feature.REFUSALS, "http1/", names="""
            ConfigurationProblem InvalidHeader InvalidHeaderName InvalidProxyLine InvalidRequestLine
            LimitRequestHeaders LimitRequestLine UnsupportedTransferCoding
         """),

    # The access log

    Need(_LOGGER, Feature.ACCESS_LOG, "serving/",
         names="access_log", calls=_mapping(access="self resp req environ request_time")),
    Need(_LOGGER, Feature.FAST_ACCESS_LOG, "serving/",
         names="atoms atoms_wrapper_class now", calls=_mapping(_get_user="self environ")),
    Need("gunicorn.glogging", Feature.FAST_ACCESS_LOG, "serving/", names="SafeAtoms"),

    # The master

    Need(ARBITER, Feature.MANAGED_RELOADS, "master/ worker/", names="""
            APP_LOAD_ERROR LISTENERS SIG_QUEUE START_CTX WORKERS WORKER_BOOT_ERROR _num_workers app cfg log master_pid
            num_workers pid pidfile reexec_pid systemd worker_age worker_class
         """,
         overrides=_mapping(
             kill_worker="self pid sig", kill_workers="self sig", manage_workers="self", maybe_promote_master="self",
             murder_workers="self", reap_workers="self", reexec="self", reload="self", setup="self app",
             spawn_worker="self", stop="self graceful="),
         relies=_mapping(
             run="maybe_promote_master murder_workers manage_workers", reload="setup spawn_worker manage_workers",
             start="check_config when_ready", stop="kill_workers", murder_workers="kill_worker",
             reap_workers="APP_LOAD_ERROR WORKER_BOOT_ERROR", setup="num_workers")),
    Need(ARBITER, Feature.MANAGED_RELOADS, "master/",
         overrides=_mapping(wait_for_signals="self timeout="), relies=_mapping(run="wait_for_signals"),
         since=SIGNAL_QUEUE),
    Need(ARBITER, Feature.MANAGED_RELOADS, "master/", names="SIGNALS", calls=_mapping(wakeup="self"),
         until=SIGNAL_QUEUE),
    Need(_WORKER, Feature.MANAGED_RELOADS, "master/", names="aborted age pid"),
    Need(_CONFIG, Feature.MANAGED_RELOADS, "master/",
         names="address bind env env_orig graceful_timeout pidfile preload_app when_ready worker_class "
               "worker_class_str", calls=_mapping(set="self name value")),
    Need(_CONFIG, Feature.MANAGED_RELOADS, "master/", names="gid timeout uid"),
    Need("gunicorn.instrument.statsd:Statsd", Feature.MANAGED_RELOADS, "master/", names="gauge increment"),
    Need("gunicorn.sock:BaseSocket", Feature.MANAGED_RELOADS, "master/", names="sock"),
    Need(_LOGGER, Feature.MANAGED_RELOADS, "master/", names="critical error info warning"),
    Need("gunicorn.app.base:BaseApplication", Feature.MANAGED_RELOADS, "master/", names="cfg",
         calls=_mapping(reload="self", wsgi="self")),
    Need("gunicorn.errors", Feature.MANAGED_RELOADS, "master/", names="HaltServer"),
    Need("gunicorn.errors:HaltServer", Feature.MANAGED_RELOADS, "master/",
         calls=_mapping(__init__="self reason exit_status=")),
    Need("gunicorn.sock", Feature.MANAGED_RELOADS, "master/", calls=_mapping(create_sockets="conf log")),
    Need("gunicorn.sock:BaseSocket", Feature.MANAGED_RELOADS, "master/", names="close sock"),
    Need("gunicorn.pidfile:Pidfile", Feature.MANAGED_RELOADS, "master/",
         names="fname pid", calls=_mapping(__init__="self fname", create="self pid"),
         overrides=_mapping(unlink="self", validate="self"), relies=_mapping(create="validate")),
    Need(ARBITER, Feature.CONTROL_SERVER, "master/", names="_control_server",
         overrides=_mapping(_start_control_server="self", _stop_control_server="self"),
         since=CONTROL_SERVER),

    # Findings

    Need("gunicorn.errors", Feature.ADVICE, "error_text.py", names="AppImportError ConfigError"),
    Need("gunicorn.config", Feature.ADVICE, "gunicorn_compat.py gunicorn_differences.py", names="KNOWN_SETTINGS"),
    Need("gunicorn.config:Setting", Feature.ADVICE, "checks/ settings.py",
         names="cli default name"),
    Need(_CONFIG, Feature.ADVICE, "checks/", names="config"),

    # The command

    Need("gunicorn", Feature.DOCTOR, "doctor/", names="SERVER_SOFTWARE"),
    Need("gunicorn.app.wsgiapp:WSGIApplication", Feature.DOCTOR, "doctor/",
         names="app_uri cfg prog usage", calls=_mapping(load_config="self", wsgi="self"),
         overrides=_mapping(
             do_load_config="self", get_config_from_filename="self filename", init="self parser opts args",
             load_config_from_module_name_or_filename="self location")),
    Need(_CONFIG, Feature.DOCTOR, "doctor/", names="""
            address env env_orig gid initgroups paste pythonpath raw_env sendfile settings timeout uid wsgi_app
         """,
         calls=_mapping(__init__="self usage= prog=", get_cmd_args_from_env="self", parser="self"),
         overrides=_mapping(set="self name value")),
    Need(_CONFIG, Feature.DOCTOR, "doctor/", names="http_protocols", since=(25,)),
    Need("gunicorn.config", Feature.DOCTOR, "doctor/", calls=_mapping(make_settings="")),
    Need("gunicorn.config:Setting", Feature.DOCTOR, "doctor/", calls=_mapping(get="self")),
    Need("gunicorn.errors", Feature.DOCTOR, "doctor/", names="ConfigError"),
    Need("gunicorn.glogging", Feature.DOCTOR, "doctor/", names="Logger"),
    Need("gunicorn.util", Feature.DOCTOR, "doctor/",
         calls=_mapping(load_class="uri", set_owner_process="uid gid initgroups=")),
    Need("gunicorn.workers", Feature.DOCTOR, "doctor/", names="SUPPORTED_WORKERS"),

    # A server that a script starts

    Need("gunicorn.app.base:Application", Feature.SCRIPT, "script.py",
         names="cfg", calls=_mapping(chdir="self", load_default_config="self"),
         overrides=_mapping(do_load_config="self", load_config="self", load="self"),
         relies={"*": "do_load_config load"}),
    Need(_CONFIG, Feature.SCRIPT, "script.py", calls=_mapping(set="self name value")),
    Need("gunicorn.util", Feature.SCRIPT, "script.py", calls=_mapping(import_app="module")),
)
