// Makes the package's types: those of the service's documents out of its OpenAPI document, the client's own out of
// its JSDoc. npm runs it before `npm pack`. $PYTHON is an interpreter that has image2model installed.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const types = join(here, 'types');
const checkout = join(here, '../../../../.venv/bin/python');
const python = process.env.PYTHON ?? (existsSync(checkout) ? checkout : 'python3');
const require = createRequire(import.meta.url);

const printed = 'import json; from image2model.api.openapi import openapi; print(json.dumps(openapi()))';
const document = JSON.parse(execFileSync(python, ['-c', printed], { maxBuffer: 2 ** 26 }).toString());

// openapi-typescript takes TypeScript 5 only; it and `tsc` are the versions of the lock file.
const { default: openapiTypes, astToString } = await import('openapi-typescript');
rmSync(types, { recursive: true, force: true });
mkdirSync(types);
const documents = await openapiTypes({ ...document, paths: {}, webhooks: {} }); // the calls are the client's methods
writeFileSync(join(types, 'openapi.d.ts'), astToString(documents));
execFileSync(process.execPath, [require.resolve('typescript/bin/tsc'), '-p', here], { stdio: 'inherit' });
