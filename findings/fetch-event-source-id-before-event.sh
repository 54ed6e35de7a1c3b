#!/bin/sh
# @microsoft/fetch-event-source 2.0.1 takes an event's id as the last one seen as soon as it has read the line `id:`. If the
# connection breaks before the event is complete, the next request names the id of an event that was never delivered, and
# the event is lost. We had guessed that it waits for the empty line after the event, as the WHATWG's standard says and as
# eventsource 4.1.1 does. A server is on the safe side if it sends `id:` as the last line of each event.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes > npm.log
npm install --silent --no-audit --no-fund @microsoft/fetch-event-source@2.0.1 eventsource@4.1.1
cat > try.cjs <<'JS'
const { createServer } = require("node:http");
const { fetchEventSource } = require("@microsoft/fetch-event-source");
const { EventSource } = require("eventsource");

globalThis.window = globalThis;
globalThis.document = { addEventListener() {}, removeEventListener() {}, hidden: false };

// Sends event 1 and, on the first connection, half of event 2; then says with which id the client came back.
const resumedFrom = (idFirst, client) =>
  new Promise((resolve) => {
    const seen = [];
    let requests = 0;
    const server = createServer((request, answer) => {
      if (++requests === 2) {
        answer.writeHead(204).end();
        server.close();
        resolve(`delivered: ${seen} resumes from: ${request.headers["last-event-id"]}`);
        return;
      }
      answer.writeHead(200, { "Content-Type": "text/event-stream" });
      answer.write(idFirst ? "retry: 100\n\nid: 1\ndata: one\n\nid: 2\nda" : "retry: 100\n\ndata: one\nid: 1\n\ndata: tw");
      setTimeout(() => answer.destroy(), 500);
    });
    server.listen(0, "127.0.0.1", () => client(`http://127.0.0.1:${server.address().port}/`, seen));
  });

const fetched = (url, seen) => {
  const stop = new AbortController();
  fetchEventSource(url, {
    signal: stop.signal,
    onmessage: ({ data }) => data && seen.push(data),
    async onopen({ status }) {
      if (status === 204) stop.abort();
    },
    onerror() {},
  }).catch(() => {});
};
const standard = (url, seen) => {
  const source = new EventSource(url);
  source.onmessage = ({ data }) => seen.push(data);
};

(async () => {
  console.log("eventsource, id first:", await resumedFrom(true, standard));
  console.log("fetch-event-source, id first:", await resumedFrom(true, fetched));
  console.log("fetch-event-source, id last:", await resumedFrom(false, fetched));
})();
JS
timeout 60 node try.cjs | tee seen
cat > expected <<'TEXT'
eventsource, id first: delivered: one resumes from: 1
fetch-event-source, id first: delivered: one resumes from: 2
fetch-event-source, id last: delivered: one resumes from: 1
TEXT
diff expected seen
