// What the types must refuse: each line after such a comment is an error.
import { Client } from '@image2model/client';

const client = new Client({ url: 'http://127.0.0.1:8000' });
// @ts-expect-error no option of an upload
await client.upload([], { face_limits: 3 });
// @ts-expect-error a picture needs a name
await client.upload([{ data: new Uint8Array() }]);
// @ts-expect-error no status
client.jobs({ status: 'done' });
const job = await client.job('x');
// @ts-expect-error it may be null
job.images[0]?.result.files;
for await (const event of client.follow('x')) {
  // @ts-expect-error only an `image` event has it
  event.image;
}
