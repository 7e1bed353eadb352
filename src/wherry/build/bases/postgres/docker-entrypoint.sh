#!/bin/bash
# Makes the database when $PGDATA is empty, then runs the server as the user postgres. Images built on this one may
# source it: the functions that begin with docker_ and pg_ are there for them, and nothing happens by itself then.
set -Eeo pipefail

# value_of NAME [DEFAULT]: $NAME, or the content of the file that $NAME_FILE names.
value_of() {
  local name=$1 file="${1}_FILE" value
  if [ -n "${!name:-}" ] && [ -n "${!file:-}" ]; then
    echo "error: both $name and $file are set (but are exclusive)" >&2
    exit 1
  fi
  value=${!name:-${2:-}}
  [ -z "${!file:-}" ] || value=$(<"${!file}") || exit 1
  export "$name=$value"
  unset "$file"
}

docker_setup_env() {
  value_of POSTGRES_PASSWORD
  value_of POSTGRES_USER postgres
  value_of POSTGRES_DB "$POSTGRES_USER"
  value_of POSTGRES_INITDB_ARGS
  : "${POSTGRES_HOST_AUTH_METHOD:=}"
  DATABASE_ALREADY_EXISTS=
  [ ! -s "$PGDATA/PG_VERSION" ] || DATABASE_ALREADY_EXISTS=true
}

docker_create_db_directories() {
  mkdir -p "$PGDATA"
  chmod 00700 "$PGDATA" || :
  mkdir -p /var/run/postgresql && chmod 03775 /var/run/postgresql || :
  if [ -n "${POSTGRES_INITDB_WALDIR:-}" ]; then
    mkdir -p "$POSTGRES_INITDB_WALDIR" && chmod 700 "$POSTGRES_INITDB_WALDIR"
  fi
  if [ "$(id -u)" = 0 ]; then
    find "$PGDATA" ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"} \! -user postgres -exec chown postgres '{}' +
    find /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
  fi
}

docker_verify_minimum_env() {
  if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
    cat >&2 <<'TEXT'
Error: Database is uninitialized and superuser password is not specified.
       You must specify POSTGRES_PASSWORD to a non-empty value for the
       superuser. For example, "-e POSTGRES_PASSWORD=password" on "run".

       You may also use "POSTGRES_HOST_AUTH_METHOD=trust" to allow all
       connections without a password. This is *not* recommended.
TEXT
    exit 1
  fi
  if [ "$POSTGRES_HOST_AUTH_METHOD" = trust ]; then
    echo 'WARNING: POSTGRES_HOST_AUTH_METHOD is "trust": anyone who reaches the port may do anything, without a password.' >&2
  fi
}

# initdb wants the user it runs as to have a name; `run --user 1234` has none, so one is made up for its time.
docker_init_database_dir() {
  local passwd= library
  if ! getent passwd "$(id -u)" >/dev/null; then
    for library in /usr/lib/*/libnss_wrapper.so /usr/lib/libnss_wrapper.so; do
      [ -s "$library" ] || continue
      passwd=$(mktemp)
      echo "postgres:x:$(id -u):$(id -g):PostgreSQL:$PGDATA:/bin/false" >"$passwd"
      export LD_PRELOAD=$library NSS_WRAPPER_PASSWD=$passwd NSS_WRAPPER_GROUP=/etc/group
      break
    done
  fi
  [ -z "${POSTGRES_INITDB_WALDIR:-}" ] || set -- --waldir "$POSTGRES_INITDB_WALDIR" "$@"
  # The arguments are words of the shell, quotes and all.
  eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") '"${POSTGRES_INITDB_ARGS:-}"' "$@"'
  if [ -n "$passwd" ]; then
    rm -f "$passwd"
    unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
  fi
}

pg_setup_hba_conf() {
  [ "${1:-}" != postgres ] || shift
  local method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption "$@")}
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

# While it is being set up the server listens on its socket only, so that nobody meets a half-made database.
docker_temp_server_start() {
  [ "${1:-}" != postgres ] || shift
  set -- "$@" -c listen_addresses='' -p "${PGPORT:-5432}"
  NOTIFY_SOCKET= PGUSER="${PGUSER:-$POSTGRES_USER}" pg_ctl -D "$PGDATA" -o "$(printf '%q ' "$@")" -w start
}

docker_temp_server_stop() {
  PGUSER="${PGUSER:-postgres}" pg_ctl -D "$PGDATA" -m fast -w stop
}

docker_process_sql() {
  local options=(-v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --no-password --no-psqlrc)
  [ -z "$POSTGRES_DB" ] || options+=(--dbname "$POSTGRES_DB")
  PGHOST= PGHOSTADDR= psql "${options[@]}" "$@"
}

docker_setup_db() {
  local there
  there=$(POSTGRES_DB= docker_process_sql --dbname postgres --set db="$POSTGRES_DB" --tuples-only <<<"SELECT 1 FROM pg_database WHERE datname = :'db';")
  if [ -z "$there" ]; then
    POSTGRES_DB= docker_process_sql --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
  fi
}

docker_process_init_files() {
  local script
  for script; do
    case "$script" in
    *.sh)
      # What is not executable sees this shell's variables and functions, and may change them.
      if [ -x "$script" ]; then
        echo "$0: running $script"
        "$script"
      else
        echo "$0: sourcing $script"
        . "$script"
      fi
      ;;
    *.sql) echo "$0: running $script"; docker_process_sql -f "$script" ;;
    *.sql.gz) echo "$0: running $script"; gunzip -c "$script" | docker_process_sql ;;
    *.sql.xz) echo "$0: running $script"; xzcat "$script" | docker_process_sql ;;
    *.sql.zst) echo "$0: running $script"; zstd -dc "$script" | docker_process_sql ;;
    *) echo "$0: ignoring $script" ;;
    esac
  done
}

# Whether the server would only say something and end; then there is nothing to set up.
only_asks() {
  local argument
  for argument; do
    case "$argument" in -'?' | --help | --describe-config | -V | --version) return 0 ;; esac
  done
  return 1
}

main() {
  [ "${1:0:1}" != - ] || set -- postgres "$@"
  if [ "$1" = postgres ] && ! only_asks "$@"; then
    docker_setup_env  # as root, who alone may be able to read secrets
    docker_create_db_directories
    if [ "$(id -u)" = 0 ]; then
      exec setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/var/lib/postgresql "$BASH_SOURCE" "$@"
    fi
    if [ -n "$DATABASE_ALREADY_EXISTS" ]; then
      printf '\n%s\n\n' 'PostgreSQL Database directory appears to contain a database; Skipping initialization'
    else
      docker_verify_minimum_env
      ls /docker-entrypoint-initdb.d/ >/dev/null  # before anything is made: can it be read?
      docker_init_database_dir
      pg_setup_hba_conf "$@"
      export PGPASSWORD="${PGPASSWORD:-$POSTGRES_PASSWORD}"  # for --auth=scram-sha-256 and the like
      docker_temp_server_start "$@"
      docker_setup_db
      shopt -s nullglob
      docker_process_init_files /docker-entrypoint-initdb.d/*
      shopt -u nullglob
      docker_temp_server_stop
      unset PGPASSWORD
      printf '\n%s\n\n' 'PostgreSQL init process complete; ready for start up.'
    fi
  fi
  exec "$@"
}

[ "${BASH_SOURCE[0]}" != "$0" ] || main "$@"
