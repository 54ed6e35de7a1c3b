#!/bin/sh
# Bun 1.4.5: a Blob that stands for a file (`openAsBlob`, `Bun.file`) adds no bytes to a Blob of several parts. We had
# guessed what Node does: the new Blob has the bytes of all its parts. A multipart body that is made as one Blob has empty
# files, and nothing says so. Alone in a Blob, or after it was read into memory, the file is whole.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts @oven/bun-linux-x64@1.4.5
cat > try.mjs <<'JS'
import { openAsBlob, writeFileSync } from 'node:fs';

writeFileSync('file', 'twelve bytes');
const file = await openAsBlob('file');
const memory = new Blob([await file.arrayBuffer()]);
const text = async (...parts) => (await new Blob(parts).text());
console.log('alone:', await text(file), '| among parts:', await text('<', file, '>'), '| from memory:', await text('<', memory, '>'));
JS
{
  printf 'Bun %s, ' "$(node_modules/@oven/bun-linux-x64/bin/bun --version)"
  node_modules/@oven/bun-linux-x64/bin/bun try.mjs
  printf 'Node, '
  node --no-warnings try.mjs
} | tee seen
cat > expected <<'TEXT'
Bun 1.4.5, alone: twelve bytes | among parts: <> | from memory: <twelve bytes>
Node, alone: twelve bytes | among parts: <twelve bytes> | from memory: <twelve bytes>
TEXT
diff expected seen
