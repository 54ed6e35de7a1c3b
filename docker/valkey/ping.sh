#!/bin/sh
# Healthy is: it answers a client that knows the password, and its data is loaded.
set -eu
# ECHO, for PING is refused while the server cannot write its file, and then clients may still read
[ "$(REDISCLI_AUTH="$I2M_REDIS_PASSWORD" valkey-cli echo ready)" = ready ]
