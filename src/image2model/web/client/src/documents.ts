// Types only: the service's documents, generated from its OpenAPI document, and what the client's methods take.
import type { components } from '../types/openapi.js';
import type { ClientError } from './errors.js';

type Schemas = components['schemas'];

export type Comparison = Schemas['ComparisonDocument'];
export type ComparisonQuote = Schemas['ComparisonQuote'];
export type Counts = Schemas['Counts'];
export type Downloads = Schemas['Downloads'];
export type Image = Schemas['ImageDocument'];
export type ImageError = Schemas['ImageError'];
export type ImageStatus = Schemas['ImageStatus'];
export type Job = Schemas['JobDocument'];
export type JobHead = Schemas['JobHead'];
export type JobPage = Schemas['JobPage'];
export type JobStatus = Schemas['JobStatus'];
export type Mesh = Schemas['Mesh'];
export type Model = Schemas['ModelDocument'];
export type ModelList = Schemas['ModelList'];
export type Problem = Schemas['ProblemDocument'];
export type Quote = Schemas['Quote'];
export type ResultFile = Schemas['FileDocument'];

export type Metadata = Record<string, string | number | boolean | null>;

/** A picture with a name of its own, such as bytes in memory. `metadata`: the caller's own data on it. */
export interface Picture {
  name: string;
  data: Blob | ArrayBuffer | Uint8Array;
  metadata?: Metadata;
}

/** A picture by its address: the service fetches it. `metadata`: the caller's own data on it. */
export interface AddressSource {
  /** http or https, on the public internet. */
  url: string;
  /** By default the last part of the address. */
  name?: string;
  metadata?: Metadata;
}

export type Side = 'front' | 'back' | 'left' | 'right' | 'top' | 'bottom' | 'left_front' | 'right_front';

/** One picture of an object, and the side that it shows. */
export type View = Picture | AddressSource | Blob | { picture: Picture | AddressSource | Blob; side?: Side | '' };

/** An object: 1 to 8 pictures of one thing, of which one model is made. `name`: once in an upload, no brackets. */
export interface ObjectSource {
  name: string;
  views: readonly View[];
  metadata?: Metadata;
}

/** What becomes one model: a `File`, a picture, a picture's address, or an object of several views. */
export type Source = Blob | Picture | AddressSource | ObjectSource;

/** What a price depends on. The names are those of the form's fields. */
export interface QuoteOptions {
  /** One of `models()`; by default the service's. */
  model?: string;
  /** The model's parameters; in a comparison also one object for each model, by its id. */
  params?: Record<string, unknown>;
  /** Most faces of a mesh. */
  face_limit?: number;
  /** How many models of each picture, with other seeds: 1 to 10. */
  variants?: number;
  /** True, or the id of the endpoint that does it: a paid request for each picture. */
  remove_background?: boolean | string;
  /** Cut each picture to its object, free of charge. */
  crop?: boolean;
  /** Pad each picture to a square, free of charge. */
  pad_square?: boolean;
  /** Each image waits with its prepared pictures for `confirm`. */
  confirm_prepared?: boolean;
  /** Make a new model even where there is one of the same picture. */
  no_cache?: boolean;
  /** False: parameters that the model's schema does not have go to FAL as they are. */
  params_strict?: boolean;
  /** The most that all pictures may cost together, in dollars. Needed where the price is not known before the run. */
  max_cost_usd?: number;
}

export interface UploadOptions extends QuoteOptions {
  priority?: 'normal' | 'low';
  /** Called when the job has ended. */
  webhook_url?: string;
  /** `skip` runs the good pictures beside bad ones. */
  on_invalid?: 'reject' | 'skip';
  /** The caller's own data on the job. */
  metadata?: Metadata;
}

/** The options of a second step. */
export interface StepOptions
  extends Pick<
    UploadOptions,
    'params' | 'face_limit' | 'params_strict' | 'no_cache' | 'max_cost_usd' | 'priority' | 'webhook_url' | 'metadata'
  > {
  /** A model that takes a model. */
  model: string;
  /** The kind of the parent's file to start from; by default its model. */
  file?: string;
  /** For models that take a picture too; by default the parent's. */
  picture?: Picture | Blob;
}

export interface JobFilter {
  status?: JobStatus;
  /** Only the jobs of this comparison. */
  comparison?: string;
  /** Only jobs that have all of it, in their own metadata or in that of their images. */
  metadata?: Metadata;
  /** Jobs on one page. */
  limit?: number;
  cursor?: string;
}

/** Bytes of the whole request. A further try begins again at 0. */
export type OnProgress = (progress: { loaded: number; total: number }) => void;

export interface ClientOptions {
  /** Such as `http://127.0.0.1:8000`. */
  url: string;
  /** An API key. In a page of the service itself the session's cookie does without. */
  key?: string;
  /** Instead of the global one. Uploads with progress then go through it too. */
  fetch?: typeof fetch;
  /** Ends every call of this client. */
  signal?: AbortSignal;
  /** For how many milliseconds a call, or a lost stream, is tried again; 60,000 by default, 0: never. */
  patience?: number;
  /** Called before a call is tried again, in `wait` milliseconds. */
  onRetry?: (error: ClientError, wait: number) => void;
  /** Called with the head of each answer; its body is the client's. */
  onResponse?: (response: Response) => void;
}

export interface CallOptions {
  signal?: AbortSignal;
  /** Instead of the client's. */
  patience?: number;
  /** Instead of the client's. */
  onRetry?: ClientOptions['onRetry'];
}

export interface PaidOptions extends CallOptions {
  /** The same request with the same key is done once. A random one by default. */
  idempotencyKey?: string;
  onProgress?: OnProgress;
}

export interface FollowOptions {
  /** Go on after this event. */
  lastEventId?: string;
  /** Called when the connection is lost, and when it is there again. */
  onConnection?: (connected: boolean) => void;
  signal?: AbortSignal;
  /** Instead of the client's. */
  patience?: number;
}

/** Any call of the API. */
export interface Call extends PaidOptions {
  query?: Record<string, string>;
  headers?: Record<string, string>;
  json?: unknown;
  /** Instead of `json`: a body that is made already. */
  form?: { body: Blob; type: string };
  /** Whether it may be tried again after a lost answer; by default GET, DELETE and what has an idempotency key. */
  safe?: boolean;
  /** Statuses of 400 and above that are answers like others. */
  accept?: number[];
}

/** One image changed; the other members are its job's after the change. */
export type ImageChanged = Schemas['ImageEvent'] & { type: 'image'; id: string };

/** The events of one job. With `reset` history no longer reached back, and the snapshot replaces all earlier state. */
export type JobEvent =
  | { type: 'snapshot'; id: string; reset: boolean; job: Job }
  | ImageChanged
  | { type: 'complete'; id: string; job: Job };

/** The events of all jobs. The snapshot has the unfinished ones. */
export type Event =
  | { type: 'snapshot'; id: string; reset: boolean; jobs: JobHead[] }
  | ImageChanged
  | { type: 'complete'; id: string; job: JobHead };
