#!/usr/bin/env bash
# Builds docs/ as a site into the folder site/: strictly, so that a broken link or anchor is an error.
# `make docs` calls it, with what it needs in place. Arguments go to `zensical build`.
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH="$PWD/.venv/bin:$PATH"
rm -rf site
zensical build --strict --clean "$@"
mkdir -p site/assets
cp tools/site/node_modules/iframe-worker/shim/index.js site/assets/iframe-worker.js
cp tools/site/node_modules/iframe-worker/LICENSE site/assets/LICENSE.iframe-worker.txt
python tools/site/check_offline.py site
