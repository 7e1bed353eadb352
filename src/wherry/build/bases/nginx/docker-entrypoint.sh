#!/bin/sh
# Runs /docker-entrypoint.d/*.envsh (sourced) and *.sh (executed) before nginx, then the command.
set -e
say() { [ -n "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ] || echo "$@"; }
case "$1" in
nginx | nginx-debug)
  for script in /docker-entrypoint.d/*; do
    case "$script" in
    *.envsh)
      say "$0: sourcing $script"
      . "$script"
      ;;
    *.sh)
      if [ -x "$script" ]; then
        say "$0: running $script"
        "$script"
      else
        say "$0: $script is not executable: ignored"
      fi
      ;;
    esac
  done
  ;;
esac
exec "$@"
