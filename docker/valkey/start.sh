#!/bin/sh
# Starts the store with its configuration on standard input, so that the password is in no process list and
# no file. The server replaces the shell, so it gets the signals, and has no password in its environment.
set -eu
: "${I2M_REDIS_PASSWORD:?must be set}"
password=$I2M_REDIS_PASSWORD
unset I2M_REDIS_PASSWORD
exec "${I2M_VALKEY_SERVER:-valkey-server}" - <<CONFIGURATION
$(cat "$(dirname "$0")/valkey.conf")
requirepass "$password"
maxmemory ${I2M_REDIS_MAXMEMORY:-0}
CONFIGURATION
