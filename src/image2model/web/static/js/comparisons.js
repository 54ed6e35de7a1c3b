// The batches of one comparison stand side by side: a column for each model, in each row the models of one picture.

import { element, say, show } from './dom.js';
import { plural } from './format.js';
import { titleOf } from './models.js';

const known = new Map();

// The nodes of the page for these jobs, in their order: a batch alone, or the batches of a comparison together.
export function arranged(jobs, nodeOf) {
  const nodes = [];
  const columns = new Map();
  for (const job of jobs) {
    const id = job.comparison_id;
    if (!id) nodes.push(nodeOf(job));
    else if (columns.has(id)) columns.get(id).push(job);
    else {
      columns.set(id, [job]);
      nodes.push(sectionOf(id).element);
    }
  }
  for (const [id, some] of columns) fill(sectionOf(id).columns, some, nodeOf);
  return nodes;
}

function sectionOf(id) {
  if (!known.has(id)) {
    const title = element('h2');
    const columns = element('div', { class: 'compared' });
    known.set(id, { title, columns, element: element('section', { class: 'comparison' }, title, columns) });
  }
  return known.get(id);
}

// By the models' names, so that the columns stay where they are.
function fill(columns, jobs, nodeOf) {
  const ordered = [...jobs].sort((one, other) => titleOf(one.model).localeCompare(titleOf(other.model)));
  let place = columns.firstElementChild;
  for (const job of ordered) {
    const node = nodeOf(job);
    if (node === place) place = place.nextElementSibling;
    else columns.insertBefore(node, place);
  }
}

// Without batches it goes; where none is shown it is not shown either.
export function tidy() {
  for (const [id, { title, columns, element: section }] of known) {
    const batches = [...columns.children];
    const shown = batches.filter((one) => !one.hidden).length;
    if (!batches.length) {
      known.delete(id);
      section.remove();
      continue;
    }
    show(section, shown > 0);
    const text = `Comparison of ${plural(shown, 'model')}`;
    say(title, text);
    if (section.getAttribute('aria-label') !== text) section.setAttribute('aria-label', text);
  }
}
