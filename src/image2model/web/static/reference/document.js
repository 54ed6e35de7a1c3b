// The OpenAPI document, as the viewer can use it.

export const ADDRESS = '/api/v1/openapi.json';

// Resolves to { document } or { refusal: { status, text } }. `key` is empty where the session's cookie, or nothing, will do.
export async function fetchDocument(key) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  try {
    const answer = await fetch(ADDRESS, { headers });
    const content = await answer.json();
    if (!answer.ok) return { refusal: { status: answer.status, text: content.detail } };
    return { document: adapted(content) };
  } catch {
    return { refusal: { status: 0, text: 'The service did not send its reference. Load the page again in a moment.' } };
  }
}

// Operations whose answer does not end: the viewer shows an answer only once it is complete.
export function streams(document) {
  const found = new Set();
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if ('text/event-stream' in (operation.responses['200']?.content ?? {})) found.add(`${method} ${path}`);
    }
  }
  return found;
}

// Changes the viewer's copy only.
function adapted(document) {
  delete document.jsonSchemaDialect; // the viewer warns of every dialect but OpenAPI's own
  delete document.servers; // one server, this one: nothing to choose from
  delete document.components.securitySchemes.session; // a browser sends the cookie by itself, and no script may set it
  for (const operation of Object.values(document.paths).flatMap((methods) => Object.values(methods))) {
    operation.security = operation.security.filter((one) => !('session' in one));
    operation.parameters.filter((one) => !one.required).forEach(startEmpty);
    const form = operation.requestBody?.content['multipart/form-data']?.schema;
    if (form) adaptForm(named(document, form));
  }
  return document;
}

function named(document, schema) {
  return schema.$ref ? document.components.schemas[schema.$ref.split('/').pop()] : schema;
}

// The viewer fills fields with examples, and would send them.
function startEmpty(parameter) {
  delete parameter.example;
}

function adaptForm(schema) {
  for (const [name, field] of Object.entries(schema.properties)) {
    delete field.contentMediaType; // the viewer would ask for a file where JSON is written
    const needed = (schema.required ?? []).includes(name) || 'default' in field;
    if (!needed && field.type !== 'array') field.example = ''; // the viewer reads the example of a list as JSON
  }
}
