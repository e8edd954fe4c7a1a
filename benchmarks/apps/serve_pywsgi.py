"""gevent.pywsgi has no command line: ``serve_pywsgi.py PORT MODULE CONNECTIONS [ACCESS_LOG]``."""

from gevent import monkey

monkey.patch_all()

import importlib  # noqa: E402 - everything is imported after the patch
import socket  # noqa: E402
import sys  # noqa: E402

from gevent.pywsgi import WSGIServer  # noqa: E402


def main(port, module, connections, access_log=None):
    log = open(access_log, "w") if access_log else None  # noqa: SIM115 - open as long as the process
    app = importlib.import_module(module).app
    WSGIServer(listener(int(port)), app, log=log, spawn=int(connections)).serve_forever()


def listener(port):
    # It sends a response's head and body separately and leaves Nagle's algorithm on: each response except a
    # connection's first then waits 40 ms for the client's delayed acknowledgement. Accepted sockets inherit the option.
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(1024)
    return sock


main(*sys.argv[1:])
