#!/bin/sh
# Starts Gunicorn and nginx in the foreground. Ctrl-C stops both.
set -eu
cd "$(dirname "$0")"
PATH=$PATH:/usr/sbin

"${GUNICORN:-../../../.venv/bin/gunicorn}" &
gunicorn=$!
files=$(mktemp -d)
nginx -p "$files" -e stderr -c "$PWD/nginx.conf" &
nginx=$!
trap 'kill -QUIT $nginx; kill $gunicorn; wait; rm -r "$files"' EXIT
trap exit INT TERM
wait $nginx
