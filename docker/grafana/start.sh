#!/bin/sh
# Starts Grafana only with a password of its own: it shows what each key spends.
set -eu
if [ -z "${GF_SECURITY_ADMIN_PASSWORD:-}" ]; then
  echo "set I2M_GRAFANA_PASSWORD in .env, for example to the output of openssl rand -hex 16" >&2
  exit 1
fi
exec /run.sh "$@"
