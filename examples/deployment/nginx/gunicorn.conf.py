"""Gunicorn behind nginx."""

pythonpath = ".."
wsgi_app = "webapp:app"
worker_class = "gworkers.GeventWorker"
workers = 2
# On a server, a Unix socket is faster: "unix:/run/webapp/gunicorn.sock". nginx's user must be able to enter the
# directory.
bind = "127.0.0.1:8000"
# Longer than nginx keeps an idle connection (keepalive_timeout of the upstream, 60 s). Otherwise nginx may send a
# request on a connection that Gunicorn closes at that moment.
keepalive = 75
# Only nginx may set X-Forwarded-Proto. This is the default.
forwarded_allow_ips = "127.0.0.1,::1"
