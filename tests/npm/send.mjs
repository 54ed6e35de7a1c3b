// Uploads pictures as programs for Node do: `node send.mjs LIBRARY URL FILE...`. Prints the version, then the answer.
import { createReadStream, openAsBlob, readFileSync } from "node:fs";
import { basename } from "node:path";
import axios from "axios";
import PackagedForm from "form-data";
import { got } from "got";
import ky from "ky";
import needle from "needle";
import nodeFetch, { FormData as NodeFetchForm } from "node-fetch";
import superagent from "superagent";
import * as undici from "undici";

const [library, url, ...paths] = process.argv.slice(2);
const fields = { metadata: '{"order": "Tür 7"}', model: "", no_cache: true };
const version = (name) =>
  `${name} ${JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version}`;

async function standardForm(Form = FormData, field = "files") {
  const form = new Form();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  for (const path of paths) form.append(field, await openAsBlob(path), basename(path));
  return form;
}

// The npm package `form-data`, older than the standard's class of that name. Its streams have no known length.
function packagedForm() {
  const form = new PackagedForm();
  for (const [name, value] of Object.entries(fields)) form.append(name, String(value));
  for (const path of paths) form.append("files", createReadStream(path), { filename: basename(path) });
  return form;
}

const anyStatus = { validateStatus: () => true, responseType: "text", transformResponse: (text) => text };

const ways = {
  fetch: async () => {
    const answer = await fetch(url, { method: "POST", body: await standardForm() });
    return [`Node ${process.version}`, await answer.text()];
  },
  undici: async () => {
    const answer = await undici.request(url, { method: "POST", body: await standardForm(undici.FormData) });
    return [version("undici"), await answer.body.text()];
  },
  "axios-form-data": async () => {
    const answer = await axios.post(url, packagedForm(), anyStatus);
    return [`${version("axios")}, ${version("form-data")}`, answer.data];
  },
  "axios-postForm": async () => {
    const files = paths.map((path) => createReadStream(path)); // in Node it takes no `File`
    const answer = await axios.postForm(url, { ...fields, files }, anyStatus);
    return [version("axios"), answer.data];
  },
  got: async () => {
    const answer = await got.post(url, { body: await standardForm(), throwHttpErrors: false });
    return [version("got"), answer.body];
  },
  "got-form-data": async () => {
    const answer = await got.post(url, { body: packagedForm(), throwHttpErrors: false });
    return [`${version("got")}, ${version("form-data")}`, answer.body];
  },
  "form-data": () =>
    new Promise((done, failed) => {
      packagedForm().submit(url, async (error, answer) => {
        if (error) return failed(error);
        let body = "";
        for await (const piece of answer.setEncoding("utf8")) body += piece;
        return done([version("form-data"), body]);
      });
    }),
  superagent: async () => {
    let request = superagent.post(url).ok(() => true).buffer(true);
    for (const [name, value] of Object.entries(fields)) request = request.field(name, value);
    for (const path of paths) request = request.attach("files", path);
    return [version("superagent"), (await request).text];
  },
  needle: async () => {
    const files = paths.map((file) => ({ file, content_type: "image/png" }));
    const { model, ...others } = fields; // it refuses an empty value
    const answer = await needle("post", url, { ...others, files }, { multipart: true, parse_response: false });
    return [version("needle"), answer.body.toString()];
  },
  ky: async () => {
    const answer = await ky.post(url, { body: await standardForm(FormData, "files[]"), throwHttpErrors: false });
    return [version("ky"), await answer.text()];
  },
  "node-fetch": async () => {
    const answer = await nodeFetch(url, { method: "POST", body: await standardForm(NodeFetchForm) });
    return [version("node-fetch"), await answer.text()];
  },
};

const [told, answer] = await ways[library]();
process.stdout.write(`${told}\n${answer}`);
