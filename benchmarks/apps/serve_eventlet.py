"""eventlet.wsgi has no command line: ``serve_eventlet.py PORT MODULE CONNECTIONS [ACCESS_LOG]``."""

import eventlet

eventlet.monkey_patch()

import importlib  # noqa: E402 - everything is imported after the patch
import sys  # noqa: E402

import eventlet.wsgi  # noqa: E402


def main(port, module, connections, access_log=None):
    log = open(access_log, "w") if access_log else None  # noqa: SIM115 - open as long as the process
    eventlet.wsgi.server(
        eventlet.listen(("127.0.0.1", int(port)), backlog=1024),
        importlib.import_module(module).app,
        log=log,
        log_output=log is not None,
        max_size=int(connections),
        debug=False,
    )


main(*sys.argv[1:])
