import {planDatabaseRestore, restoreDatabase} from '../../../src/database/index.ts';
import {openFileTarget} from '../../../src/sources/index.ts';
import {openDirectoryStore} from '../../../src/stores/index.ts';
import {openVault} from '../../../src/vault/index.ts';
import {surroundings} from '../../database/fakes.ts';

/**
 * killed-restore.ts STORE ROOT FILE: a restore of a QuestDB that kills its own process within file number FILE,
 * or before it publishes.
 */
const [store, root, file] = process.argv.slice(2);
const die = () => process.kill(process.pid, 'SIGKILL');
const vault = await openVault({store: await openDirectoryStore({root: store!, create: false})});
const target = await openFileTarget('questdb', {place: root!});
const write = target.write.bind(target);
let begun = 0;
target.write = (what, bytes) => (begun++ === Number(file) ? write(what, dyingHalfway(bytes)) : write(what, bytes));
target.publish = async () => die() as never;
async function* dyingHalfway(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let left = 1024 * 1024;
  for await (const bytes of stream) {
    if (left <= 0) die();
    left -= bytes.length;
    yield bytes;
  }
  die();
}
await restoreDatabase({...surroundings(), vault, target}, await planDatabaseRestore({vault, target}, {}));
