// FAL's own JavaScript client against the emulator: uploads the picture, submits, follows by stream and by
// polling, fetches the result and cancels. argv: base URL, picture file. Prints one JSON object.
const fs = require("node:fs");
const { createFalClient } = require("@fal-ai/client");

const [base, picture] = process.argv.slice(2);
const model = "tripo3d/tripo/v2.5/image-to-3d";

// The client writes FAL's hosts into its code; only its fetch can be replaced.
const fal = createFalClient({
  credentials: "js:secret",
  fetch: (url, init) => {
    const target = new URL(url);
    return fetch(base + target.pathname + target.search, init);
  },
});

async function main() {
  const url = await fal.storage.upload(new Blob([fs.readFileSync(picture)], { type: "image/png" }));
  const streamed = [];
  const byStream = await fal.subscribe(model, {
    input: { image_url: url },
    mode: "streaming",
    logs: true,
    onQueueUpdate: (update) => streamed.push(update.status),
  });
  const byPolling = await fal.subscribe(model, { input: { image_url: url, pbr: true }, pollInterval: 20 });
  const { request_id: requestId } = await fal.queue.submit(model, {
    input: { image_url: url },
    headers: { "X-Emulator-Latency": "60s" },
  });
  await fal.queue.cancel(model, { requestId });
  const cancelled = await fal.queue.status(model, { requestId, logs: true });
  const result = await fal.queue.result(model, { requestId }).then(
    () => 200,
    (error) => error.status,
  );
  const file = await fetch(byStream.data.model_mesh.url);
  const magic = Buffer.from(await file.arrayBuffer()).toString("latin1", 0, 4);
  return { streamed, byPolling: byPolling.data, cancelled: cancelled.status, result, magic };
}

main().then((seen) => process.stdout.write(JSON.stringify(seen)));
