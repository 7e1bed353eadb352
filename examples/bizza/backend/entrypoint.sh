#!/bin/sh
# Waits for the database and prepares it, then becomes the command (gunicorn). In an environment of Wherry the release step
# has prepared it, once for all instances; an old version that is brought back must not try.
set -e
if [ "${1:-}" = gunicorn ] && [ -z "${WHERRY_INSTANCE:-}" ]; then
  flask --app bizza prepare
fi
exec "$@"
