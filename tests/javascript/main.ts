// The session in Node, with files. argv: URL, folder, the bad file, then the pictures. Prints the report.
import { Client } from '@image2model/client';
import { openPicture, save } from '@image2model/client/node';

import { session } from './session.js';

const [url = '', folder = '', bad = '', ...paths] = process.argv.slice(2);
const client = new Client({ url, key: process.env['I2M_API_KEY'] ?? '' });
const pictures = await Promise.all(paths.map((path) => openPicture(path)));
const report = await session(client, pictures, await openPicture(bad));
for (const image of (await client.job(report.job)).images) {
  const [model] = image.result?.files ?? [];
  await save(`${folder}/${image.filename}.glb`, () => client.download(report.job, image.image_id), { size: model?.size ?? null });
}
console.log(JSON.stringify(report));
