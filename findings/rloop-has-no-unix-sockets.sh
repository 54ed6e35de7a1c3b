#!/bin/sh
# rloop 0.5.0 offers itself as an event loop for servers, and has `create_unix_connection` and `create_unix_server`, which
# raise NotImplementedError, as the methods of asyncio's abstract class do. So a client of Redis or Valkey over a unix socket
# cannot run on it, while TCP works. We had guessed that what is missing is slower, not absent.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet rloop==0.5.0
cat > "$folder/try.py" <<'PY'
import asyncio
import sys

import rloop


async def answer(reader, writer):
    writer.write(b"hello\n")
    await writer.drain()
    writer.close()


async def attempt(what, act):
    try:
        print(f"{what}: {await act()}")
    except NotImplementedError:
        print(f"{what}: NotImplementedError")


async def over_tcp():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    line = await reader.readline()
    writer.close()
    server.close()
    return line.decode().strip()


async def main():
    await attempt("TCP", over_tcp)
    await attempt("a unix server", lambda: asyncio.start_unix_server(answer, sys.argv[1]))
    await attempt("a unix connection", lambda: asyncio.open_unix_connection(sys.argv[1]))


rloop.new_event_loop().run_until_complete(main())
PY
"$folder/env/bin/python" "$folder/try.py" "$folder/socket" | tee "$folder/seen"
cat > "$folder/expected" <<'TEXT'
TCP: hello
a unix server: NotImplementedError
a unix connection: NotImplementedError
TEXT
diff "$folder/expected" "$folder/seen"
