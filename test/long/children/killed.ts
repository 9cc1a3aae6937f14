import {planDatabaseRestore, restoreDatabase, takeDatabaseBackup} from '../../../src/database/index.ts';
import {SqliteFileSource} from '../../../src/sources/sqlite/file/files.ts';
import {SqliteFileTarget} from '../../../src/sources/sqlite/file/target.ts';
import {openDirectoryStore} from '../../../src/stores/index.ts';
import {openVault} from '../../../src/vault/index.ts';

/**
 * killed.ts STORE DATABASE WHAT: a backup or a restore that kills its own process while it copies bytes or before it
 * publishes.
 */
const [root, path, what] = process.argv.slice(2);
const die = () => process.kill(process.pid, 'SIGKILL');
async function* dyingHalfway(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let left = 10;
  for await (const bytes of stream) {
    if (left-- === 0) die();
    yield bytes;
  }
}
const vault = await openVault({store: await openDirectoryStore({root: root!, create: false})});
const tools = {
  nowMicros: () => Date.now() * 1000,
  signal: new AbortController().signal,
  progress: () => {},
  notice: () => {},
  vault,
};
if (what === 'backup') {
  const source = new SqliteFileSource(path!);
  const freeze = source.freeze.bind(source);
  source.freeze = async (options) => {
    const frozen = await freeze(options);
    return {...frozen, read: (file) => dyingHalfway(frozen.read(file))};
  };
  await takeDatabaseBackup({...tools, source}, {operation: 'killed/1'});
} else {
  const target = new SqliteFileTarget(path!);
  const write = target.write.bind(target);
  if (what === 'write') target.write = (file, bytes) => write(file, dyingHalfway(bytes));
  else target.publish = async () => die() as never;
  await restoreDatabase({...tools, target}, await planDatabaseRestore({vault, target}, {}));
}
