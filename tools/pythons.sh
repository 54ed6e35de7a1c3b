#!/usr/bin/env bash
# Runs tests with every other Python that this machine has, of those that pyproject.toml's classifiers name.
#
#   tools/pythons.sh [--turn] [PYTEST ARGUMENT…]
#
# It looks for python3.N on PATH and among pyenv's versions; PYTHONS="/path/python …" names more. --turn: only one
# of them, another after each commit. Without arguments the tests are those of the folders in SUBSET that are not
# long. Each Python has its environment in .venvs/, with the packages of requirements-dev.lock.
set -euo pipefail
cd "$(dirname "$0")/.."

SUBSET=(tests/api tests/cli tests/client tests/http tests/jobs tests/network tests/storage tests/up)
WORKERS="${WORKERS:-3}"

turn=no
if [ "${1:-}" = --turn ]; then turn=yes; shift; fi
own="$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
wanted="$(sed -nE 's/^ *"Programming Language :: Python :: (3\.[0-9]+)",$/\1/p' pyproject.toml)"

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

find_python() { # $1: the version; prints the path of the first that runs
  local candidate
  for candidate in ${PYTHONS:-} "$(command -v "python$1" || true)" "$HOME/.pyenv/versions/$1".*/bin/python; do
    if [ -x "$candidate" ] && [ "$(version_of "$candidate")" = "$1" ]; then echo "$candidate"; return; fi
  done
}

found=()
for version in $wanted; do
  [ "$version" = "$own" ] && continue
  python="$(find_python "$version")"
  if [ -n "$python" ]; then found+=("$version=$python"); else echo "Python $version: not on this machine"; fi
done
if [ ${#found[@]} -gt 0 ] && [ "$turn" = yes ]; then
  found=("${found[$(($(git rev-list --count HEAD) % ${#found[@]}))]}")
fi

for one in "${found[@]}"; do
  version="${one%%=*}"
  environment=".venvs/$version"
  echo "Python $version: ${one#*=}"
  if ! cmp -s requirements-dev.lock "$environment/locked" || [ "$(version_of "$environment/bin/python")" != "$version" ]; then
    rm -rf "$environment"
    .venv/bin/uv venv --quiet --seed --python "${one#*=}" "$environment"
    .venv/bin/uv pip install --quiet --python "$environment/bin/python" --require-hashes -r requirements-dev.lock
    .venv/bin/uv pip install --quiet --python "$environment/bin/python" --no-build-isolation --no-deps -e .
    cp requirements-dev.lock "$environment/locked"
  fi
  if [ $# -gt 0 ]; then tests=("$@"); else tests=(-n "$WORKERS" -m "not long" "${SUBSET[@]}"); fi
  "$environment/bin/python" -m pytest "${tests[@]}"
done
