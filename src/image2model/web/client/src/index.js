// What the package exports. `node.js` has what needs files.

export { Client } from './client.js';
export { ClientError, ProblemError, Unreachable } from './errors.js';

/**
 * @typedef {import('./documents.js').AddressSource} AddressSource
 * @typedef {import('./documents.js').CallOptions} CallOptions
 * @typedef {import('./documents.js').ClientOptions} ClientOptions
 * @typedef {import('./documents.js').Comparison} Comparison
 * @typedef {import('./documents.js').ComparisonQuote} ComparisonQuote
 * @typedef {import('./documents.js').Counts} Counts
 * @typedef {import('./documents.js').Downloads} Downloads
 * @typedef {import('./documents.js').Event} Event
 * @typedef {import('./documents.js').FollowOptions} FollowOptions
 * @typedef {import('./documents.js').Image} Image
 * @typedef {import('./documents.js').ImageChanged} ImageChanged
 * @typedef {import('./documents.js').ImageError} ImageError
 * @typedef {import('./documents.js').ImageStatus} ImageStatus
 * @typedef {import('./documents.js').Job} Job
 * @typedef {import('./documents.js').JobEvent} JobEvent
 * @typedef {import('./documents.js').JobFilter} JobFilter
 * @typedef {import('./documents.js').JobHead} JobHead
 * @typedef {import('./documents.js').JobPage} JobPage
 * @typedef {import('./documents.js').JobStatus} JobStatus
 * @typedef {import('./documents.js').Mesh} Mesh
 * @typedef {import('./documents.js').Metadata} Metadata
 * @typedef {import('./documents.js').Model} Model
 * @typedef {import('./documents.js').ModelList} ModelList
 * @typedef {import('./documents.js').ObjectSource} ObjectSource
 * @typedef {import('./documents.js').OnProgress} OnProgress
 * @typedef {import('./documents.js').PaidOptions} PaidOptions
 * @typedef {import('./documents.js').Picture} Picture
 * @typedef {import('./documents.js').Quote} Quote
 * @typedef {import('./documents.js').QuoteOptions} QuoteOptions
 * @typedef {import('./documents.js').ResultFile} ResultFile
 * @typedef {import('./documents.js').Side} Side
 * @typedef {import('./documents.js').Source} Source
 * @typedef {import('./documents.js').StepOptions} StepOptions
 * @typedef {import('./documents.js').UploadOptions} UploadOptions
 * @typedef {import('./documents.js').View} View
 */
