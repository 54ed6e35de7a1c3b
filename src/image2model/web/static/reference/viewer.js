// Swagger UI with our settings. Its code comes from npm and is loaded before this.

import { streams } from './document.js';

// Shows a document in an element. `key`, if any, is sent by "Try it out". Calls `done` once it is shown.
export function show(domNode, document, key, done) {
  const bundle = window.SwaggerUIBundle;
  const viewer = bundle({
    domNode,
    spec: document,
    presets: [bundle.presets.apis],
    plugins: [adjusted(streams(document))],
    layout: 'BaseLayout',
    deepLinking: true,
    docExpansion: 'list',
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    filter: true,
    persistAuthorization: false, // a key stays in the page's memory
    queryConfigEnabled: false, // no part of the address may name another document
    validatorUrl: null, // the maker's validator would be asked about the document
    onComplete: () => {
      if (key) viewer.preauthorizeApiKey('key', key);
      done();
    },
  });
}

function adjusted(endless) {
  return (system) => ({
    components: {
      ParameterIncludeEmpty: () => null, // an empty field of a form is not sent
      // The viewer looks for this one, and warns in the console that it has none of its own.
      JsonSchema_string_binary: (props) =>
        system.React.createElement(system.getComponent('JsonSchema_string'), props),
    },
    statePlugins: { spec: { wrapSelectors: { allowTryItOutFor: onlyEnding(endless) } } },
  });
}

function onlyEnding(endless) {
  return (original) => (state, path, method) => !endless.has(`${method} ${path}`) && original(state, path, method);
}
