#!/bin/sh
# Runs haproxy in the foreground under a master process, as the official image does; any other command as it is.
set -e
case "$1" in
-*) set -- haproxy "$@" ;;
esac
if [ "$1" = haproxy ]; then
  shift
  set -- haproxy -W -db "$@"
fi
exec "$@"
