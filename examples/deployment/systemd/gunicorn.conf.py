"""Gunicorn under systemd, which passes the listening socket. This file belongs into /srv/webapp."""

wsgi_app = "webapp:app"
worker_class = "gworkers.GeventWorker"
workers = 2
graceful_timeout = 30
# systemd sends signals, and the home directory may be read-only: no socket for gunicornc.
control_socket_disable = True
