#!/bin/sh
# Waits for the database and prepares it, then becomes the command (gunicorn).
set -e
if [ "${1:-}" = gunicorn ]; then
  flask --app bizza prepare
fi
exec "$@"
