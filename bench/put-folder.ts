/**
 * node bench/put-folder.ts FOLDER STORE
 *
 * Uploads every file below the folder with bkp's S3 store alone, as rclone copy does: it measures the client's
 * share of a backup's CPU.
 */
import {readdirSync, readFileSync} from 'node:fs';
import {join, relative} from 'node:path';
import {parseStore} from '../src/config/index.ts';
import {openS3Store} from '../src/stores/index.ts';

const [folder = '', text = ''] = process.argv.slice(2);
const {address, credentials} = parseStore(text, '/');
if (address.kind !== 's3' || credentials === undefined) throw new Error('a store on S3 with its keys is needed');
const store = await openS3Store({...address, credentials});
const files = readdirSync(folder, {recursive: true, withFileTypes: true}).filter((entry) => entry.isFile());
const paths = files.map((entry) => join(entry.parentPath, entry.name)).values();
const lane = async () => {
  for (const path of paths) await store.put(relative(folder, path), readFileSync(path), {ifAbsent: true});
};
await Promise.all([lane(), lane(), lane(), lane()]);
