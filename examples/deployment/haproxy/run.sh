#!/bin/sh
# Starts Gunicorn and HAProxy in the foreground. Ctrl-C stops both.
set -eu
cd "$(dirname "$0")"
PATH=$PATH:/usr/sbin

"${GUNICORN:-../../../.venv/bin/gunicorn}" &
gunicorn=$!
haproxy -db -f haproxy.cfg &
haproxy=$!
trap 'kill $haproxy $gunicorn; wait' EXIT
trap exit INT TERM
wait $haproxy
