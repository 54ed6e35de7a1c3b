#!/bin/sh
# needle 3.5.0 (npm) writes a multipart form from an object, and throws "value missing for multipart!" for the values "",
# 0 and false, while true, 1 and null are taken (null as no field). We had guessed that every value that it turns into text
# may be sent: so `{multipart: true}` cannot say that a flag is off.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund --ignore-scripts needle@3.5.0
cat > try.mjs <<'JS'
import { readFileSync } from "node:fs";
import http from "node:http";
import needle from "needle";

const server = http.createServer(async (request, response) => {
  let body = "";
  for await (const piece of request.setEncoding("utf8")) body += piece;
  response.end(body);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const url = `http://127.0.0.1:${server.address().port}/`;
console.log("needle", JSON.parse(readFileSync("node_modules/needle/package.json")).version);
for (const flag of [true, 1, null, false, 0, ""]) {
  try {
    const answer = await needle("post", url, { flag, other: "x" }, { multipart: true });
    console.log(JSON.stringify(flag), JSON.stringify([...String(answer.body).matchAll(/name="(.*)"\r\n\r\n(.*)\r/g)].map((one) => `${one[1]}=${one[2]}`)));
  } catch (error) {
    console.log(JSON.stringify(flag), error.message);
  }
}
server.close();
JS
node try.mjs | tee seen
cat > expected <<'TEXT'
needle 3.5.0
true ["flag=true","other=x"]
1 ["flag=1","other=x"]
null ["other=x"]
false value missing for multipart!
0 value missing for multipart!
"" value missing for multipart!
TEXT
diff expected seen
