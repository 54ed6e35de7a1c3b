"""The JavaScript client's parser of event streams says what the Python client's says."""

import base64

import pytest

from image2model.client.events import EventParser
from tests.support.javascript import run_client

STREAM = (
    "\ufeff: a comment\n"
    "retry: 2000\n\n"
    'id: 1\nevent: image\ndata: {"a":\ndata: 1}\n\n'
    "data: no name\n\n"
    "event: empty\n\n"
    "id: 2\ndata\n\n"
    "id: bad\0id\ndata:no space\nunknown: field\nretry: soon\n\n"
    "data:  two spaces: and a colon\n\n"
    "data: ünï 🪑 \ufeff\u2028line\n\n"
    "id\ndata: no id any more\n\n"
    "data: never closed"
).encode()
READ = """
const stream = Buffer.from(given.stream, 'base64');
const found = [];
for (const size of [1, 2, 3, 7, 1000]) {
  let at = 0;
  const body = new ReadableStream({
    pull(out) {
      if (at >= stream.length) return out.close();
      out.enqueue(stream.subarray(at, at + size));
      at += size;
    },
  });
  const parser = new EventParser();
  const events = await all(eventsOf(body, parser, () => {}));
  found.push([parser.retry, events.map(({ event, data, id }) => [event, data, id])]);
}
return found;
"""


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
async def test_events_do_not_depend_on_line_ends_or_chunks(end: bytes) -> None:
    data = STREAM.replace(b"\n", end)
    expected = [[one.event, one.data, one.id] for one in EventParser().feed(data)]
    assert len(expected) == 7
    stream = base64.b64encode(data).decode()
    assert await run_client(READ, given={"stream": stream}) == [[2000, expected]] * 5
