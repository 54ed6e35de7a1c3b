#!/bin/sh
# A deploy without a failed request: build first, then replace the API's replicas one after the other, each when
# the one before is healthy, then the workers. Run it in the folder of compose.yaml. Its arguments go to
# `docker compose`, such as `-f compose.yaml -f docker/compose.tls.yaml`.
set -eu
docker compose "$@" build
for replica in api-1 api-2 api-3; do
    docker compose "$@" up --detach --no-deps --wait "$replica"
done
# A worker releases its images within its grace period, and the next one continues with them.
docker compose "$@" up --detach --no-deps --wait worker
