/** node questdb-holder.ts ROOT URL: freezes the database, reports that, and waits to be killed. */
import {openQuestDbSource} from '../../src/sources/questdb/index.ts';

const [root, http] = process.argv.slice(2) as [string, string];
await openQuestDbSource({root, http}).freeze({
  hold: 'operation killed/1',
  signal: new AbortController().signal,
  notice: () => undefined,
  nowMicros: () => Date.now() * 1000,
});
process.stdout.write('held\n');
setInterval(() => undefined, 60_000);
