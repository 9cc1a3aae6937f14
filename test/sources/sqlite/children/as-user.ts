import {SqliteSource} from '../../../../src/sources/sqlite/index.ts';
import {rowStream} from '../../row-stream.ts';

/** as-user.ts UID PATH WHAT: prints the result or the error as JSON. */
const [uid, path, what] = process.argv.slice(2);
const source = new SqliteSource(path!);
process.setuid!(Number(uid));
try {
  if (what === 'describe') await source.describe('all');
  if (what === 'stage') await (await source.stage([], {id: 'test', database: {}})).discard();
  let rows = 0;
  if (what === 'full' || what === 'track') {
    const snapshot = await source.snapshot({tables: ['t'], ...(what === 'track' ? {track: {owner: 'somebody'}} : {})});
    for await (const segment of await rowStream(snapshot, 't')) rows += segment.rows;
    await snapshot.close();
  }
  console.log(JSON.stringify({rows}));
} catch (error) {
  const {code, message, next} = error as {code?: string; message: string; next?: string};
  console.log(JSON.stringify({code, message, next}));
}
