#!/bin/sh
# init.sh [FOLDER]: passwords for the Postgres and the Redis of compose.yaml, and their URLs, in FOLDER (secrets/ beside
# this file). What is there already stays. Then it says how to write the env file.
set -eu
folder=${1-$(dirname "$0")/secrets}

made() {
  od -An -N 24 -tx1 /dev/urandom | tr -d ' \n'
}

keep() {
  # Nobody else of this host comes into the folder; a container gets the files alone, and reads them as its own user.
  [ -e "$folder/$1" ] || { cat > "$folder/$1.new"; chmod 444 "$folder/$1.new"; mv "$folder/$1.new" "$folder/$1"; }
}

mkdir -p "$folder"
chmod 700 "$folder"
made | keep postgres-password
[ -e "$folder/redis-url" ] || {
  password=$(made)
  printf 'requirepass %s\nsave ""\nappendonly no\nmaxmemory-policy noeviction\n' "$password" | keep redis-conf
  printf 'redis://:%s@redis:6379/0\n' "$password" | keep redis-url
}
printf 'postgresql://uniassist:%s@postgres:5432/uniassist\n' "$(cat "$folder/postgres-password")" | keep database-url
cat <<SAID
the passwords are in $folder. The env file, with this host's addresses, once both servers run (the runbook's four
services alone: without STAGING_PROVIDERS):
  DATABASE_URL=\$(sed s/@postgres:/@127.0.0.1:/ $folder/database-url) \\
  REDIS_URL=\$(sed s/@redis:/@127.0.0.1:/ $folder/redis-url) \\
  STAGING_PROVIDERS=reminder uniassist release init
SAID
