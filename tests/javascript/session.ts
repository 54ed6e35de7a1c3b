// A whole session, as a user's program in TypeScript. It runs in Node and in a browser.
import { Client, ProblemError, type Image, type JobEvent, type Source } from '@image2model/client';

export interface Report {
  job: string;
  progress: { loaded: number; total: number }[];
  retries: string[];
  losses: number;
  events: { type: JobEvent['type']; id: string; image: string; status: string }[];
  images: { filename: string; triangles: number; size: number; magic: string }[];
  archive: number;
  listed: boolean;
  problem: { code: string; file: string; requestId: boolean };
}

export async function session(client: Client, pictures: readonly Source[], bad: Source): Promise<Report> {
  const progress: Report['progress'] = [];
  const retries: string[] = [];
  const job = await client.upload(pictures, { metadata: { order: 7 }, no_cache: true }, {
    onProgress: (one) => progress.push(one),
    onRetry: (error) => retries.push(error.name),
  });

  const events: Report['events'] = [];
  let losses = 0;
  const onConnection = (connected: boolean): void => void (losses += connected ? 0 : 1);
  for await (const event of client.follow(job.job_id, { onConnection })) {
    const { type, id } = event;
    if (event.type === 'image') events.push({ type, id, image: event.image.image_id, status: event.image.status });
    else events.push({ type, id, image: '', status: event.job.status });
  }

  const done = await client.wait(job.job_id);
  const images = await Promise.all(done.images.map((image) => fetched(client, done.job_id, image)));
  const archive = (await (await client.archive(done.job_id)).arrayBuffer()).byteLength;
  let listed = false;
  for await (const head of client.jobs({ limit: 1, metadata: { order: 7 } })) listed ||= head.job_id === job.job_id;
  return { job: job.job_id, progress, retries, losses, events, images, archive, listed, problem: await refused(client, bad) };
}

async function fetched(client: Client, jobId: string, image: Image): Promise<Report['images'][number]> {
  const response = await client.download(jobId, image.image_id, { file: 'model' });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const magic = new TextDecoder().decode(bytes.subarray(0, 4));
  return { filename: image.filename, triangles: image.result?.mesh?.triangles ?? 0, size: bytes.length, magic };
}

async function refused(client: Client, bad: Source): Promise<Report['problem']> {
  try {
    await client.upload([bad]);
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    const [fault] = error.errors;
    return { code: error.code, file: fault?.file ?? '', requestId: error.requestId !== null };
  }
  throw new Error('the bad file was taken');
}
