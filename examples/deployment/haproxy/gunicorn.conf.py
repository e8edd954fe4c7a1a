"""Gunicorn behind HAProxy."""

from gworkers import GeventWorker

pythonpath = ".."
wsgi_app = "webapp:app"
workers = 2
bind = "127.0.0.1:8000"
# HAProxy sends the client's address in a PROXY header at the start of each connection.
proxy_protocol = "v2"
# Only HAProxy may do so. This is the default.
proxy_allow_ips = "127.0.0.1,::1"
# Longer than HAProxy keeps an idle connection to a server ("timeout http-keep-alive" and "timeout client").
keepalive = 75
worker_class = GeventWorker.configure(
    # HAProxy's checks ask here, in a process of its own: /ready is 503 as soon as the server begins to stop.
    status_address="127.0.0.1:8001",
    # After the signal to stop, the server accepts connections for as long as HAProxy may need to notice: two checks,
    # a second apart.
    drain_delay=3,
)
