// Validates every file named on the command line with Khronos' validator; prints one JSON array of
// {file, numErrors, numWarnings, messages, triangles}.
const fs = require("node:fs");
const validator = require("gltf-validator");

async function validate(file) {
  const { issues, info } = await validator.validateBytes(new Uint8Array(fs.readFileSync(file)));
  return {
    file,
    numErrors: issues.numErrors,
    numWarnings: issues.numWarnings,
    messages: issues.messages,
    triangles: info ? info.totalTriangleCount : null,
  };
}

Promise.all(process.argv.slice(2).map(validate)).then((reports) =>
  process.stdout.write(JSON.stringify(reports)),
);
