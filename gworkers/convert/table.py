"""uWSGI's options and what each one is here. docs/migrate/uwsgi.md shows the same rows."""
from __future__ import annotations

from gworkers.convert import addresses, logs, rules, scheduled
from gworkers.convert.row import Row, absent, needless, served
from gworkers.convert.rules import Items, Own, Setting, megabytes, missing, number, switch, together

#: The advice for a time and a command.
CRON = ("A function with `@background.cron(\"*/5 * * * *\")` of `gworkers.background`, which runs the command with "
        "`subprocess.run`; or the cron of the system.")

ADDRESSES = (
    served("http http-socket http11-socket httprouter", "`bind`", addresses.http),
    served(
        " ".join(addresses.UWSGI), "`bind`, with HTTP in place of the uwsgi protocol: `proxy_pass` in nginx",
        addresses.uwsgi),
    served(
        "fastcgi-socket fastcgi-nph-socket scgi-socket scgi-nph-socket raw-socket puwsgi-socket suwsgi-socket",
        "`bind`, with HTTP in place of that protocol",
        addresses.uwsgi),
    needless("protocol socket-protocol", "`http` is the only protocol"),
    served(
        "shared-socket undeferred-shared-socket map-socket",
        "`bind`; the options that refer to it (`http-socket = =0`) need nothing",
        addresses.http),
    served("https https-socket", "`bind`, `certfile`, `keyfile`, `ciphers`, `ca_certs`, `cert_reqs`", addresses.https),
    served("https2", "as `https`", addresses.https2),
    served("http-to-https", "The proxy or the application redirects", addresses.redirect),
    absent(
        "sni sni-dir sni-dir-ciphers sni-regexp ssl-* https-export-cert https-session-context",
        "Set the hook `ssl_context` of Gunicorn to a function that returns an `ssl.SSLContext`, or use TLS in the "
        "proxy."),
    served("chmod-socket chmod", "`umask`: the mode of the socket is 777 without its bits", addresses.mode),
    absent("chown-socket", "The socket belongs to `user` and `group`. Add the user of the proxy to that group."),
    served("listen", "`backlog`", Setting("backlog", number)),
    served("reuse-port", "`reuse_port`", Setting("reuse_port", switch)),
    needless(
        "so-keepalive tcp-nodelay tcp-fast* http-socket-modifier* https-socket-modifier* fastcgi-modifier* "
        "scgi-modifier* raw-modifier* no-defer-accept http-modifier* modifier* freebind defer-accept thunder-lock "
        "lock-engine ftok umutex abstract-socket",
        "The workers share the socket without a lock; each connection has `TCP_NODELAY`"),
    served(
        "enable-proxy-protocol http-enable-proxy-protocol", "`proxy_protocol`", Setting("proxy_protocol", switch),
        "Set proxy_allow_ips to the addresses of the load balancer."),
    needless(
        "http-websockets http-raw-body http-chunked-input http-auto-chunked http-manage-expect http-manage-source "
        "http-processes http-workers http-events http-buffer-size http-to http-quiet http-cheap "
        "http-connect-timeout http-uid http-gid http-gracetime http-manage-rtsp websocket*",
        "There is no router process: each worker serves HTTP with WebSockets, chunks and `100 Continue`"),
    absent(
        "http-auto-gzip", "Compress in the proxy (`gzip` in nginx), or in the application (Django: `GZipMiddleware`)."),
    absent(
        "fastrouter* rawrouter* sslrouter* subscribe* subscription* http-subscription* http-use-* http-zerg "
        "http-var corerouter* unsubscribe* notify-socket-subscribe",
        "Use a proxy such as nginx, HAProxy or Traefik."),
)

APPLICATION = (
    served("module wsgi wsgi-file file callable", '`wsgi_app = "package.module:callable"`', together),
    served(
        "mount", "`wsgi_app`; below a path with the variable `SCRIPT_NAME`; several with a dispatcher in one module",
        together),
    served("chdir", "`chdir`", Setting("chdir")),
    absent("chdir2 chroot pivot-root pivot_root", "Set the directory in the service manager or in the container."),
    served("pythonpath python-path pp", "`pythonpath`", Items("pythonpath")),
    served("virtualenv venv home pyhome python-home", "Start the `gunicorn` of that environment", rules.virtualenv),
    served("env", "`raw_env`", rules.environment),
    absent("envdir early-envdir", "Use `EnvironmentFile` of systemd, or the environment of the container."),
    absent("unenv", "Remove the variable where Gunicorn is started, as in `env -u NAME gunicorn`."),
    served("paste ini-paste ini-paste-logged", "`paste`", rules.paste),
    needless(
        "need-app single-interpreter enable-threads no-threads-wait manage-script-name strict show-config "
        "no-default-app no-site py-call-osafterfork py-call-uwsgi-fork-hooks wsgi-env-behavior wsgi-env-behaviour "
        "optimize max-vars max-apps reaper safe-fd fd-safe mem-collector-freq check-interval master-as-root "
        "forkbomb-delay print iprint exit python-version py-version wsgi-strict py-programname py-program-name "
        "py-executable py-sys-executable logger-list plugin-list plugins-list declare-option* loop-list* "
        "loggers-list clock* dump-options honour-stdin persistent-ipcsem skip-zero pcre-jit exception-handler "
        "no-initgroups mount-check check-mount segfault-alarm use-abort remap-modifier ignore-script-name profiler "
        "python-worker-override start_response-nodelay wsgi-accept-buffer wsgi-accept-buffers plugin plugins "
        "plugin-dir plugins-dir need-plugin need-plugins autoload threads-stacksize thread-stacksize "
        "threads-stack-size thread-stack-size",
        "Always so, or without a purpose: an application that fails to load stops the start"),
    served("wsgi-disable-file-wrapper disable-sendfile", "`sendfile = False`", rules.no_sendfile, on=True),
    absent(
        "pyargv pymodule-alias post-pymodule-alias import pyimport py-import python-import shared-import "
        "spooler-import shared-pyimport shared-py-import pyrun pyshell* eval wsgi-lite pecan web3* pump "
        "catch-exceptions early-python python-raw py-tracebacker* py-sharedarea",
        "Put it into the module that `wsgi_app` names; each worker imports that. The hooks of Gunicorn run other "
        "code: `post_fork`, `post_worker_init`."),
    served(
        "lazy-apps lazy", "Always: each worker loads the application. `preload_app = True` is the opposite",
        rules.lazy),
)

PROCESSES = (
    needless(
        "master vacuum die-on-term exit-on-reload no-orphans close-on-exec close-on-exec2 auto-procname "
        "harakiri-verbose harakiri-no-arh no-harakiri-arh no-harakiri-after-req-hook reload-os-env skip-atexit "
        "skip-atexit-teardown",
        "Always so; `TERM` stops the server and `HUP` reloads it"),
    served("processes workers", "`workers`", Setting("workers", number)),
    absent(
        "threads",
        "Each worker serves up to `worker_connections` requests at once in greenlets. If the database has few "
        "connections, limit them in its pool, or the requests with `max_active_requests`."),
    served("gevent async ugreen", "`worker_connections`", rules.concurrency),
    needless(
        "gevent-monkey-patch gevent-early-monkey-patch monkey-patch",
        "Always: `patch`, before the application is loaded"),
    absent(
        "gevent-wait-for-hub",
        "A stop waits for requests and for `background.spawn`, up to `graceful_timeout`. It does not wait for "
        "greenlets that the application starts otherwise."),
    absent(
        "asyncio tornado greenlet loop fiber coroae rpcgevent",
        "gevent is the only engine here. Use `gworkers.run_async` for coroutines."),
    served("uid immediate-uid", "`user`", Setting("user")),
    served("gid immediate-gid", "`group`", Setting("group")),
    absent("add-gid additional-gids emulate-initgroups", "Set `initgroups = True` together with `user`."),
    absent(
        "cap cgroup* namespace* unshare ksm cpu-affinity cpus nice limit-nproc limit-as reload-on-as "
        "evil-reload-on-as max-fd rlimit-* numa* purge* prio* mlock* never-swap socket-sndbuf socket-rcvbuf flock* "
        "ns* setns* jailed",
        "Set limits in the service manager or in the container. systemd: `MemoryMax`, `LimitNOFILE`, "
        "`CPUAffinity`, `Nice`."),
    served(
        "umask", "`umask` for sockets; `UMask` of systemd for files of the application", rules.umask,
        "Gunicorn's umask applies to its sockets only. For files of the application set UMask in systemd."),
    served("pidfile pidfile2 safe-pidfile safe-pidfile2", "`pidfile`; there is only one", rules.pidfile),
    served(
        "procname procname-prefix procname-prefix-spaced procname-master", "`proc_name`; it needs setproctitle",
        Setting("proc_name"),
        "Names of processes need the package setproctitle: pip install setproctitle."),
    needless("procname-append", "`proc_name`"),
    served(
        "cheaper* cheap idle die-on-idle",
        "The number of workers is fixed: `workers`. A worker serves many requests at once, so fewer are enough",
        missing,
        "The number of workers is fixed and equals processes. Greenlets serve many requests at once, so one worker "
        "for each core is enough for most applications. TTIN and TTOU change the number."),
    absent(
        "emperor* vassal* vassals* zerg* legion* broodlord heartbeat",
        "Use a systemd template unit, `gunicorn@.service`, with one instance for each application, and convert "
        "each vassal. docs/migrate/uwsgi.md shows the unit."),
    served(
        "hook-master-start", "nothing for `unix_signal:15 gracefully_kill_them_all`, because `TERM` is graceful",
        rules.master_hook),
    absent(
        "attach-daemon* smart-attach-daemon* legion-attach-daemon attach-control-daemon exec-* hook-* as-user* "
        "call-* master-fifo fifo after-request-* after-request-hook wait-for-* touch-exec worker-exec worker-exec2 "
        "drop-after-* mount-* umount-* force-cwd refork* re-fork* wait-i* no-server command-mode",
        "Use a systemd unit or a container for each other program; `ExecStartPre` of the unit for a command before "
        "the start. Python code can run in the hooks of gunicorn.conf.py (`on_starting`, `when_ready`, `post_fork`, "
        "`on_exit`)."),
)

LIMITS = (
    served(
        "harakiri",
        "`request_timeout`: the client gets 504; `timeout` for a worker that is blocked; and `graceful_timeout`",
        rules.harakiri,
        "The client gets 504 after this time, and other requests of the worker go on. The late request is not "
        'ended: request_timeout_action="cancel" raises an exception in it.'),
    served(
        "http-timeout socket-timeout", "`body_timeout` and `write_timeout`", Own("body_timeout write_timeout", number)),
    served(
        "so-send-timeout socket-send-timeout so-write-timeout socket-write-timeout", "`write_timeout`",
        Own("write_timeout", number)),
    served("http-headers-timeout", "`head_timeout`", Own("head_timeout", number)),
    served("http-keepalive so-keepalive-timeout add-keepalive", "`keepalive`", rules.keepalive),
    served("max-requests", "`max_requests`", Setting("max_requests", number)),
    served("max-requests-delta", "`max_requests_jitter`", Setting("max_requests_jitter", number)),
    absent(
        "min-worker-lifetime max-worker-lifetime max-worker-lifetime-delta reload-on-exception* reload-on-fd",
        "Use `max_requests` and `max_rss`, which replace workers. To replace them by time, send `HUP` from a "
        "timer: a reload loses no request."),
    served("reload-on-rss", "`max_rss`, in bytes", Own("max_rss", megabytes)),
    served(
        "evil-reload-on-rss", "`max_rss` if `reload-on-rss` is not set; a hard limit is `MemoryMax` of systemd",
        rules.recycle_memory,
        "A worker above max_rss is replaced without losing requests. A hard limit is for systemd (MemoryMax) or "
        "the container."),
    served("worker-reload-mercy", "`graceful_timeout`", Setting("graceful_timeout", number)),
    served("reload-mercy", "`graceful_timeout`, if `worker-reload-mercy` is not set", rules.reload_mercy),
    served("buffer-size", "`limit_request_line` and `limit_request_field_size`", rules.buffer_size),
    needless(
        "post-buffering post-buffering-bufsize chunked-input-* body-read-warning upload-progress",
        "The application reads the body as it arrives. The proxy can buffer it: nginx does"),
    absent(
        "limit-post",
        "Set `client_max_body_size` in nginx, or a limit in the framework (Flask: `MAX_CONTENT_LENGTH`)."),
    needless(
        "ignore-sigpipe ignore-write-errors disable-write-exception write-errors-tolerance "
        "write-errors-exception-only",
        "A client that leaves causes no error in the log"),
    needless("offload-threads offload-thread", "`wsgi.file_wrapper` uses sendfile"),
)

RELOADS = (
    absent(
        "touch-reload touch-workers-reload touch-chain-reload fs-*",
        "Send `HUP` to the master (`systemctl reload`): it reloads all workers without losing a request. A systemd "
        "path unit can do this when a file changes: docs/migrate/uwsgi.md shows it."),
    served(
        "py-autoreload py-auto-reload python-autoreload python-auto-reload py-autoreload-on-edit",
        "`reload`, for development",
        rules.reload,
        "reload is for development only.",
        on=True),
    needless("py-auto-reload-ignore py-autoreload-ignore", "`reload`"),
    absent(
        "touch-logrotate touch-logreopen touch-mules-reload touch-spoolers-reload touch-signal",
        "Send `USR1` to the master: it opens the log files again."),
)

LOGS = (
    served(
        "daemonize daemonize2", "`daemon`, `errorlog` and `accesslog`; a service manager needs no daemon", logs.daemon,
        "Under systemd or in a container remove daemon."),
    served("logto logto2 logger", "`errorlog`, `accesslog` and `capture_output`", logs.file),
    served("req-logger logger-req", "`accesslog`", logs.requests),
    served("log-format logformat", "`access_log_format`", logs.format_),
    needless("disable-logging", 'Without it `accesslog = "-"`: uWSGI logs each request, Gunicorn does not'),
    served("log-x-forwarded-for", "`access_log_format` with `%({x-forwarded-for}i)s`", logs.forwarded),
    needless(
        "log-date logdate log-master* log-zero log-micros log-sendfile log-ioerror log-reopen logfile-chown "
        "logfile-chmod threaded-logger logformat-strftime log-format-strftime log-prefix log-big",
        "Gunicorn's log has its own form"),
    absent(
        "log-req-encoder log-encoder",
        "Set `access_log_json` for the requests as JSON, and `logconfig_dict` for the form of other lines."),
    absent(
        "log-4xx log-5xx log-slow",
        "The access log has all requests or none. A class in `logger_class` can select some."),
    absent(
        "log-maxsize log-backupname log-truncate log-drain log-filter log-route log-req-route alarm* log-alarm "
        "not-log-alarm alarm-* log-syslog rsyslog* log-socket",
        "Rotate logs with logrotate, which sends `USR1`. For syslog set `syslog` and `syslog_addr`. Filters belong "
        "into `logconfig_dict`."),
    served(
        "stats stats-server", "`status_address`: metrics for Prometheus, a page, and `gworkers top`",
        Own("status_address", rules.address),
        'The status server replaces the stats server: /metrics for Prometheus, /state.json, and "gworkers top '
        'ADDRESS" in place of uwsgitop. It shows paths of requests, so keep the address private.'),
    needless(
        "stats-http stats-minified stats-no-cores stats-no-metrics memory-report enable-metrics",
        "`status_address`; the metrics include memory"),
    served("stats-push stats-pusher-default-freq", "`statsd_host` and `statsd_prefix`", rules.statsd),
    absent(
        "carbon* metric* snmp* nagios* graphite* http-stats* mongrel*",
        "Set `status_address`, which serves `/metrics` for Prometheus, or `statsd_host`."),
)

SERVICES = (
    served("cron unique-cron legion-cron cron-legion legion-unique-cron unique-legion-cron", CRON, scheduled.cron),
    served("cron2", CRON, scheduled.cron2),
    absent(
        "cron-harakiri timer rbtimer signal-timer signal-rbtimer",
        "Use `@background.timer(seconds)` of `gworkers.background` on a function. It runs in one worker."),
    absent(
        "mule mules mule-* farm",
        "There are no mules. `background.spawn(function)` runs a function in the worker after the response. Use a "
        "queue such as Celery or RQ for longer work and for work that needs the CPU."),
    absent(
        "spooler* spool*",
        "There is no spooler. `background.spawn(function)` does not survive a restart. Use a queue such as Celery "
        "or RQ."),
    absent(
        "static-map static-map2 check-static check-static-docroot static-* mimefile file-serve-mode fileserve-mode "
        "honour-range docroot document-root",
        "Let the proxy serve files: `location /static/ { alias /path/; }` in nginx. Without a proxy use WhiteNoise "
        "in the application."),
    absent(
        "route* final-route* error-route* response-route* router-* collect-header collect-cookie pull-header",
        "Use the rules of the proxy (`rewrite`, `return`, `auth_basic` in nginx), or WSGI middleware."),
    absent(
        "add-header rem-header del-header",
        "Set headers in the proxy (`add_header` in nginx), or in middleware of the application."),
    absent("error-page-*", "Set `error_page` in the proxy, or use the pages of the framework."),
    absent("vhost vhost-host worker-mount", "Start one server for each application. The proxy selects it by the host."),
    absent("cache* queue* sharedarea* lock* locks rpc* remote-rpc signal signals", "Use Redis or memcached."),
    absent(
        "php* psgi* perl* rack* ruby* lua* cgi* jvm* mono* v8* pypy* gccgo* go-* webdav* ssi* rb* erlang* tuntap* "
        "xslt*",
        "gworkers serves Python only. Use a server of that language."),
)

#: Sections of the table by the heading in the documentation.
SECTIONS: dict[str, tuple[Row, ...]] = {
    "Addresses": ADDRESSES, "Application": APPLICATION, "Processes": PROCESSES, "Limits": LIMITS, "Reloads": RELOADS,
    "Logs and metrics": LOGS, "Services": SERVICES}
TABLE: tuple[Row, ...] = tuple(row for rows in SECTIONS.values() for row in rows)
