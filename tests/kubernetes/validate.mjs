// Validates resources by the schemas that KEDA and Istio publish, as the packages @kubernetes-models/… have them.
// Standard input: a JSON array of resources. Standard output: a JSON array of problems, one sentence each.
// The schemas allow unknown fields, which a cluster drops in silence, so that a misspelt one counts as a problem here:
// a field that the validation has never looked at is unknown.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const heavy = createRequire(join(import.meta.dirname, "../heavy/package.json"));

function schemaOf({ apiVersion, kind }) {
  const [group, version] = apiVersion.split("/");
  const capital = (word) => word[0].toUpperCase() + word.slice(1);
  if (group === "keda.sh") return ["keda", `ComGithubKedacoreKedaV2ApisKeda${capital(version)}${kind}`];
  if (group.endsWith("istio.io"))
    return ["istio", `${group.split(".").map(capital).join("")}${capital(version)}${kind}`];
  throw new Error(`there is no schema of ${apiVersion} ${kind}`);
}

function watched(value, path, unseen) {
  if (value === null || typeof value !== "object") return value;
  const fields = Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, watched(one, `${path}/${key}`, unseen)]),
  );
  const target = Array.isArray(value) ? Object.values(fields) : fields;
  for (const key of Object.keys(value)) unseen.add(`${path}/${key}`);
  return new Proxy(target, {
    get(_, key) {
      unseen.delete(`${path}/${String(key)}`);
      return target[key];
    },
  });
}

const problems = [];
for (const resource of JSON.parse(readFileSync(0, "utf8"))) {
  const name = `${resource.kind} ${resource.metadata.name}`;
  const [library, schema] = schemaOf(resource);
  const folder = dirname(heavy.resolve(`@kubernetes-models/${library}/package.json`));
  const { validate } = await import(pathToFileURL(join(folder, "_schemas", `${schema}.js`)));
  const unseen = new Set();
  const valid = validate(watched(resource, "", unseen));
  if (!valid) for (const error of validate.errors) problems.push(`${name}: ${error.instancePath} ${error.keyword}`);
  // metadata is Kubernetes' own, which checks labels and annotations without naming them
  for (const field of unseen) if (!field.startsWith("/metadata/")) problems.push(`${name}: unknown field ${field}`);
}
console.log(JSON.stringify(problems));
