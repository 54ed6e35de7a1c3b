#!/bin/sh
# axios 1.21.1 in Node: `postForm(url, {files: file})` with Node's own `File` fails with "source.on is not a function", and
# with a `Blob` it says "Blob is not supported. Use a Buffer instead." A standard FormData that holds the same File works.
# We had guessed that an object with a File becomes a form in Node as it does in a browser. In an object only Buffers and
# streams work.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts axios@1.21.1
cat > try.mjs <<'JS'
import { readFileSync } from "node:fs";
import http from "node:http";
import axios from "axios";

const server = http.createServer(async (request, response) => {
  let body = "";
  for await (const piece of request.setEncoding("utf8")) body += piece;
  response.end(body);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const url = `http://127.0.0.1:${server.address().port}/`;
const file = new File(["abc"], "a.png", { type: "image/png" });
const form = new FormData();
form.append("files", file);
console.log("axios", JSON.parse(readFileSync("node_modules/axios/package.json")).version);
for (const [what, data] of Object.entries({ File: { files: file }, Blob: { files: new Blob(["abc"]) }, form })) {
  try {
    const { data: sent } = await axios.postForm(url, data, { responseType: "text" });
    console.log(`${what}:`, sent.match(/Content-Disposition: (.*)\r/)[1]);
  } catch (error) {
    console.log(`${what}:`, error.message);
  }
}
server.close();
JS
node try.mjs | tee seen
cat > expected <<'TEXT'
axios 1.21.1
File: source.on is not a function
Blob: Blob is not supported. Use a Buffer instead.
form: form-data; name="files"; filename="a.png"
TEXT
diff expected seen
