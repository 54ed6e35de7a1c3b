#!/bin/sh
# Starts Prometheus with the token that /metrics asks for. A configuration cannot read the environment, so the token goes
# into a file that only this user can read; it is empty where no token is set, and then the API asks for none.
set -eu
umask 077
printf %s "${I2M_METRICS_TOKEN:-}" >"${I2M_RUN_DIR:-/tmp}/metrics-token"
exec prometheus "$@"
