#!/usr/bin/env bash
# Known vulnerabilities among what is locked. Fails on a finding. Where no database of vulnerabilities can
# be reached it says so and passes: a build without a network must not depend on one.
set -euo pipefail
cd "$(dirname "$0")/.."
audit="${AUDIT:-.venv/bin/pip-audit}"

if ! command -v "$audit" >/dev/null; then
  echo "audit: skipped, pip-audit is not installed"
  exit 0
fi
report="$(mktemp)"
said="$(mktemp)"
trap 'rm -f "$report" "$said"' EXIT
status=0
timeout 120 "$audit" --requirement requirements.lock --require-hashes --disable-pip --progress-spinner off \
  --format json --output "$report" 2>"$said" || status=$?

python3 - "$report" "$status" <<'PYTHON' || { code=$?; [ "$code" -eq 3 ] && { tail -1 "$said"; exit 0; }; exit "$code"; }
import json, sys

try:
    found = json.load(open(sys.argv[1]))["dependencies"]
except (ValueError, KeyError):
    print(f"audit: skipped, no database of vulnerabilities can be reached (status {sys.argv[2]})")
    sys.exit(3)
looked_at = [one for one in found if "vulns" in one and "skip_reason" not in one]
if not looked_at:
    print(f"audit: skipped, the database in reach knows none of the {len(found)} packages")
    sys.exit(0)
bad = [(one["name"], one["version"], each["id"], each["fix_versions"]) for one in looked_at for each in one["vulns"]]
for name, version, identity, fixes in bad:
    print(f"audit: {name} {version}: {identity}, mended in {', '.join(fixes) or 'no version yet'}")
print(f"audit: {len(looked_at)} of {len(found)} packages looked up, {len(bad)} findings")
sys.exit(1 if bad else 0)
PYTHON
