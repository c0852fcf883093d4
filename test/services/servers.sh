#!/usr/bin/env bash
# Real servers for the integration tests: PostgreSQL and Redis on loopback ports of their own,
# with their data in a temporary folder, out of the way of any that the system runs.
#
#   test/services/servers.sh install              installs, on Debian, what is not there
#   eval "$(test/services/servers.sh start)"      starts both; prints what the tests need to know
#   test/services/servers.sh kill postgres|redis  at once, as a crash would
#   test/services/servers.sh up postgres|redis    starts one again, on the same port
#   test/services/servers.sh stop                 ends both and removes their data
set -euo pipefail

postgres_bin() {
  # Debian keeps them out of the path, by version.
  local newest
  newest=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
  echo "${newest:-$(dirname "$(command -v pg_ctl || echo /nowhere/pg_ctl)")}"
}

are_installed() {
  [ -x "$(postgres_bin)/initdb" ] && command -v redis-server >/dev/null && command -v redis-cli >/dev/null
}

install() {
  if are_installed; then return; fi
  local sudo=()
  [ "$(id -u)" = 0 ] || sudo=(sudo)
  "${sudo[@]}" apt-get update -q
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends postgresql redis-server
}

free_port() {
  node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })'
}

# PostgreSQL refuses to run as root.
as_user() {
  local user=$1
  shift
  if [ "$(id -u)" = 0 ]; then (cd / && runuser -u "$user" -- "$@"); else "$@"; fi
}

up() {
  case $1 in
    postgres)
      as_user postgres "$(postgres_bin)/pg_ctl" -D "$dir/postgres/data" -l "$dir/postgres/log" -w -s -t 60 start >&2
      ;;
    redis)
      as_user redis redis-server "$dir/redis/redis.conf" >&2
      for _ in $(seq 100); do
        REDISCLI_AUTH=$(cat "$dir/secret") redis-cli -p "$(cat "$dir/redis/port")" ping >/dev/null 2>&1 && return
        sleep 0.1
      done
      cat "$dir/redis/log" >&2
      return 1
      ;;
  esac
}

kill_server() {
  case $1 in
    postgres) as_user postgres "$(postgres_bin)/pg_ctl" -D "$dir/postgres/data" -m immediate -w -s stop >&2 ;;
    redis)
      local port
      port=$(cat "$dir/redis/port")
      kill -KILL "$(cat "$dir/redis/pid")"
      # By its port: where nobody reaps it, the process stays as a zombie.
      while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.05; done
      ;;
  esac
}

start() {
  if ! are_installed; then
    echo "servers.sh: PostgreSQL or Redis is missing; on Debian: test/services/servers.sh install" >&2
    exit 1
  fi
  dir=$(mktemp -d "${TMPDIR:-/tmp}/tbcoin-servers-XXXXXX")
  trap '[ $? = 0 ] || stop' EXIT
  chmod 755 "$dir"
  mkdir "$dir/postgres" "$dir/redis"
  local secret postgres_port redis_port
  secret=$(node -e 'console.log(require("crypto").randomBytes(16).toString("hex"))')
  postgres_port=$(free_port)
  redis_port=$(free_port)
  (umask 077 && echo "$secret" >"$dir/secret" && echo "$secret" >"$dir/postgres/password")
  echo "$redis_port" >"$dir/redis/port"
  cat >"$dir/redis/redis.conf" <<CONF
bind 127.0.0.1
port $redis_port
requirepass $secret
save ""
appendonly no
dir $dir/redis
daemonize yes
pidfile $dir/redis/pid
logfile $dir/redis/log
CONF
  if [ "$(id -u)" = 0 ]; then
    chown -R postgres "$dir/postgres"
    chown -R redis "$dir/redis"
  fi
  chmod 700 "$dir/postgres" "$dir/redis"
  as_user postgres "$(postgres_bin)/initdb" -D "$dir/postgres/data" -U test -A scram-sha-256 \
    --pwfile="$dir/postgres/password" --no-sync >"$dir/initdb.log" || { cat "$dir/initdb.log" >&2; exit 1; }
  as_user postgres tee -a "$dir/postgres/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = '127.0.0.1'
port = $postgres_port
unix_socket_directories = ''
fsync = off
max_connections = 20
CONF
  up postgres
  up redis
  echo "export TEST_SERVICES_DIR='$dir'"
  echo "export TEST_POSTGRES_URL='postgres://test:$secret@127.0.0.1:$postgres_port/postgres'"
  echo "export TEST_REDIS_URL='redis://:$secret@127.0.0.1:$redis_port'"
}

stop() {
  # One that a test has left dead says so here; nothing is wrong then.
  for server in postgres redis; do kill_server "$server" 2>/dev/null || true; done
  rm -rf "$dir"
}

command=${1:-}
case $command in up | kill | stop) dir=${TEST_SERVICES_DIR:?"start the servers first: see the head of this file"} ;; esac
case $command in
  install) install ;;
  start) start ;;
  up) up "$2" ;;
  kill) kill_server "$2" ;;
  stop) stop ;;
  *)
    sed -n '2,9p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
