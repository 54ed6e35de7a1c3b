"""Runs a few lines of JavaScript with the JavaScript client in Node. Who uses it: its tests."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any, Final

import msgspec

PACKAGE: Final = Path(__file__).parents[2] / "src/image2model/web/client"
"""The folder of which npm makes the package."""
_NODE_SECONDS: Final = 90
_PROGRAM: Final = """
import { Client, ClientError, ProblemError, Unreachable } from %(index)s;
import { BadDownload, openPicture, save } from %(node)s;
import { EventParser, eventsOf } from %(stream)s;
const bytes = (text) => new TextEncoder().encode(text);
const picture = (name, text = name) => ({ name, data: bytes(`\\x89PNG\\r\\n\\x1a\\n${text}`) });
const given = %(given)s;
const client = new Client({ url: 'http://127.0.0.1', ...given.client });
const caught = async (promise) => promise.then(() => 'nothing was thrown', (error) => error);
const all = async (events) => {
  const found = [];
  for await (const one of events) found.push(one);
  return found;
};
const result = await (async () => { %(body)s })();
console.log(JSON.stringify(result ?? null));
"""


async def run_client(body: str, *, given: dict[str, Any] | None = None, **client: Any) -> Any:
    """What `body` returns. `client` has been made with these options; `given` is there by its name.

    Also there: the package's exports; `picture(name)`, with the beginning of a PNG; `caught(promise)`, its
    error; `all(iterator)`, a list. Raises AssertionError with Node's stderr when it fails.
    """
    modules = {
        name: json.dumps((PACKAGE / "src" / f"{file}.js").as_uri())
        for name, file in (("index", "index"), ("node", "node"), ("stream", "event-stream"))
    }
    program = _PROGRAM % {**modules, "given": json.dumps({**(given or {}), "client": client}), "body": body}
    return msgspec.json.decode(await run_node("--input-type=module", "--eval", program))


async def run_node(*arguments: str | Path, folder: Path | None = None, **environment: str) -> str:
    """The standard output of `node ARGUMENTS`."""
    process = await asyncio.create_subprocess_exec(
        "node",
        *arguments,
        cwd=folder,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), _NODE_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return out.decode()
