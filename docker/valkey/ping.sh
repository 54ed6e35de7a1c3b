#!/bin/sh
# Healthy is: it answers a client that knows the password, and its data is loaded.
set -eu
[ "$(REDISCLI_AUTH="$I2M_REDIS_PASSWORD" valkey-cli ping)" = PONG ]
