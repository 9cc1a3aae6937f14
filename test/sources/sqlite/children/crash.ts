import fs from 'node:fs';
import {syncBuiltinESMExports} from 'node:module';
import {DatabaseSync} from 'node:sqlite';

/**
 * crash.ts WHAT WHERE SOURCE TARGET: does the work and kills itself at the named point.
 * `commit` of the source's database or of the target's, `link` and `linked` of a new file, `load` in the middle of it.
 */
const [what, where, sourcePath, targetPath] = process.argv.slice(2);
const die = () => process.kill(process.pid, 'SIGKILL');

const exec = DatabaseSync.prototype.exec;
DatabaseSync.prototype.exec = function (sql: string) {
  if (where === 'commit' && sql === 'COMMIT') die();
  exec.call(this, sql);
};
const {linkSync} = fs;
fs.linkSync = (from, to) => {
  if (where === 'link') die();
  linkSync(from, to);
  if (where === 'linked') die();
};
syncBuiltinESMExports();

const {SqliteSource} = await import('../../../../src/sources/sqlite/index.ts');
const {takeFull, fillStaging} = await import('../../layers.ts');
const source = new SqliteSource(sourcePath!);
if (what === 'backup') {
  await takeFull(source, {tables: ['t'], track: {owner: 'collection-1'}});
  die();
}
const backup = await takeFull(source, {tables: ['t']});
const staging = await fillStaging(new SqliteSource(targetPath!), backup, 'crashed');
if (where === 'load') die();
await staging.publish({});
