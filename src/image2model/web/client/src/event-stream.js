// Reads an event stream by WHATWG HTML, "Interpreting an event stream". `EventSource` cannot send a key, tells nothing
// of a refusal and nothing of keep-alives, so this client reads streams by `fetch`.

/** @typedef {{event: string, data: string, id: string}} ServerSentEvent `id`: the last one that the stream has set */

/** Turns text into events, however it is cut. */
export class EventParser {
  constructor() {
    /** The stream's reconnection time in milliseconds, if it sent one. @type {number | null} */
    this.retry = null;
    this.id = '';
    this.rest = '';
    this.event = '';
    /** @type {string[]} */
    this.data = [];
    this.afterCr = false;
  }

  /**
   * The events that `text` completes.
   *
   * @param {string} text
   * @returns {Generator<ServerSentEvent>}
   */
  *feed(text) {
    if (this.afterCr && text) {
      if (text[0] === '\n') text = text.slice(1);
      this.afterCr = false;
    }
    const lines = (this.rest + text).split(/\r\n|\r|\n/);
    this.afterCr = text.endsWith('\r');
    this.rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line) this.field(line);
      else yield* this.dispatch();
    }
  }

  /** @param {string} line */
  field(line) {
    const [, name, value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (name === 'data') this.data.push(value);
    else if (name === 'event') this.event = value;
    else if (name === 'id' && !value.includes('\0')) this.id = value;
    else if (name === 'retry' && /^\d+$/.test(value)) this.retry = Number(value);
  }

  /** @returns {Generator<ServerSentEvent>} */
  *dispatch() {
    const { event, data, id } = this;
    this.event = '';
    this.data = [];
    if (data.length) yield { event: event || 'message', data: data.join('\n'), id };
  }
}

/**
 * The events of a body, each with the parser's state after it.
 *
 * @param {ReadableStream<Uint8Array>} body
 * @param {EventParser} parser
 * @param {() => void} arrived called with each chunk, comments too
 * @returns {AsyncGenerator<ServerSentEvent>}
 */
export async function* eventsOf(body, parser, arrived) {
  const reader = body.getReader();
  const decoder = new TextDecoder(); // drops a byte order mark
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      arrived();
      yield* parser.feed(decoder.decode(value, { stream: true }));
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
