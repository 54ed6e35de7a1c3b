#!/bin/sh
# redis-py 5.3.1 imports PyJWT whenever it is imported itself, for a kind of login that hardly anybody uses, and PyJWT imports
# cryptography where that is installed. So a process that only sends commands to a store without any login has
# cryptography's native library loaded: 7 to 10 MiB of memory in each. We had guessed that a client loads what a login needs when
# one is configured.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet redis==5.3.1 pyjwt==2.10.1 cryptography==46.0.3
cat > "$folder/try.py" <<'PY'
import resource
import sys

if "without" in sys.argv:
    sys.modules["jwt"] = type(sys)("jwt")

import redis.asyncio

redis.asyncio.Redis()
native = "cryptography.hazmat.bindings._rust" in sys.modules
print(sys.argv[1], "cryptography's native library is", "loaded" if native else "not loaded")
size = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20
open(sys.argv[2], "w").write(str(size))
PY
"$folder/env/bin/python" "$folder/try.py" "as it is:" "$folder/a" | tee "$folder/seen"
"$folder/env/bin/python" "$folder/try.py" "with an empty jwt:" "$folder/b" without | tee -a "$folder/seen"
python3 - "$folder/a" "$folder/b" <<'PY' | tee -a "$folder/seen"
import sys

more = float(open(sys.argv[1]).read()) - float(open(sys.argv[2]).read())
print("more memory:", "over 4 MiB" if more > 4 else f"{more:.1f} MiB")
print(f"{more:.1f} MiB", file=sys.stderr)
PY
cat > "$folder/expected" <<'TEXT'
as it is: cryptography's native library is loaded
with an empty jwt: cryptography's native library is not loaded
more memory: over 4 MiB
TEXT
diff "$folder/expected" "$folder/seen"
