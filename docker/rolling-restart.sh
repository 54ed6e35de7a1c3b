#!/bin/sh
# A deploy without a failed request: build first, then replace the API's replicas in turn, each when the one
# before is healthy, then the workers. Run it where compose.yaml is; arguments go to `docker compose`, such as
# `-f compose.yaml -f docker/compose.tls.yaml`.
set -eu
docker compose "$@" build
for replica in api-1 api-2 api-3; do
    docker compose "$@" up --detach --no-deps --wait "$replica"
done
# A worker lets go of its images within its grace, and the next one goes on with them.
docker compose "$@" up --detach --no-deps --wait worker
