// What the client throws: all of one root.

/** Root of the client's own errors. */
export class ClientError extends Error {
  get name() {
    return this.constructor.name;
  }
}

/** No usable answer came: the connection failed, was cut, or took too long. `cause` says why. */
export class Unreachable extends ClientError {}

/** The service refused: `message` says what to do. */
export class ProblemError extends ClientError {
  /**
   * @param {number} status
   * @param {Partial<import('./documents.js').Problem>} problem the answer's document; empty where a proxy answered
   * @param {{requestId?: string | null, retryAfter?: number | null}} [headers]
   */
  constructor(status, problem = {}, { requestId = null, retryAfter = null } = {}) {
    super(problem.detail || problem.title || `The service answered ${status}.`);
    this.status = status;
    /** A stable word such as `not_ready`; empty where a proxy answered. */
    this.code = problem.code ?? '';
    /** What to do, in words. */
    this.detail = this.message;
    /** The files that are to blame. */
    this.errors = problem.errors ?? [];
    /** Finds the call in the service's log. */
    this.requestId = problem.request_id ?? requestId;
    /** Seconds after which to try again; null where the service gave none. */
    this.retryAfter = retryAfter;
  }
}

/**
 * @param {number} status
 * @param {Headers} headers
 * @param {string} text the answer's body
 */
export function problemOf(status, headers, text) {
  let problem;
  try {
    problem = JSON.parse(text);
  } catch {
    // a proxy's page
  }
  const after = headers.get('retry-after') ?? '';
  const known = problem && typeof problem === 'object' ? problem : {};
  return new ProblemError(status, known, {
    requestId: headers.get('x-request-id'),
    retryAfter: /^\d+$/.test(after) ? Number(after) : null,
  });
}
