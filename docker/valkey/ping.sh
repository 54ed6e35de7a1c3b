#!/bin/sh
# Healthy means: it answers a client that knows the password, and its data is loaded.
set -eu
# ECHO, because the server refuses PING while it cannot write its file, and clients can still read then
[ "$(REDISCLI_AUTH="$I2M_REDIS_PASSWORD" valkey-cli echo ready)" = ready ]
