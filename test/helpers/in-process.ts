import {randomBytes} from 'node:crypto';
import {
  type BackupName,
  type BackupType,
  cleanUp,
  createCollection,
  type FoldLimits,
  listBackups,
  planBackup,
  planRestore,
  type RestoreReport,
  requirePossible,
  restoreBackup,
  takeBackup,
  verifyBackups,
} from '../../src/collections/index.ts';
import {type MergeMode, openSource, type TableSource, type WantedTable} from '../../src/sources/index.ts';
import {openDirectoryStore, type Store} from '../../src/stores/index.ts';
import {type Host, openVault, thisHost, type Vault} from '../../src/vault/index.ts';
import {encryptionForTests} from '../vault/helpers.ts';
import {asRows} from './as-rows.ts';

/**
 * The work of bkp's statements without its processes: fast enough to run after each of many simulated crashes.
 */
export type Bench = {
  backups: (collection: string) => Promise<BackupName[]>;
  backup: (collection: string, type: BackupType, options?: BackupOptions) => Promise<BackupName>;
  /** Throws the findings of VERIFY. */
  verify: (collection: string) => Promise<void>;
  /** @param point default: the newest backup */
  restore: (
    collection: string,
    target: string | TableSource,
    point?: string,
    tables?: readonly WantedTable[],
    options?: {partial?: boolean; mode?: MergeMode | undefined; schema?: string | undefined; dryRun?: boolean},
  ) => Promise<RestoreReport>;
  /** With a collection: also removes what its KEEP_LATEST does not keep. */
  cleanUp: (collection?: string) => Promise<number>;
  vault: <T>(use: (vault: Vault) => Promise<T>) => Promise<T>;
};

/** `form`: take bases as rows; default: as the source chooses. */
export type BackupOptions = {adopt?: boolean; form?: 'rows' | undefined; fold?: FoldLimits | undefined};

export function inProcess(place: {
  /** The path of an SQLite file, or another source, which stays open. */
  database: string | TableSource;
  /** A directory; alternatively `openStore`. */
  cluster?: string;
  openStore?: () => Promise<Store>;
  store?: (store: Store) => Store;
  notice?: (text: string) => void;
  /** Default: this machine's clock. */
  nowMicros?: () => number;
}): Bench {
  const nowMicros = place.nowMicros ?? (() => Date.now() * 1000);
  const tools = () => ({
    nowMicros,
    signal: new AbortController().signal,
    progress: () => {},
    notice: place.notice ?? (() => {}),
  });
  const openPlace = async () => {
    if (place.openStore !== undefined) return place.openStore();
    if (place.cluster === undefined) throw new Error('neither a cluster nor a store');
    return openDirectoryStore({root: place.cluster, create: true});
  };
  const vault = async <T>(use: (vault: Vault) => Promise<T>): Promise<T> => {
    const store = await openPlace();
    const {host, end} = pieceOfWork();
    const opened = await openVault({
      store: place.store?.(store) ?? store,
      create: true,
      compressionLevel: 1,
      host,
      encryption: encryptionForTests(),
    });
    try {
      return await use(opened);
    } finally {
      opened.close();
      end();
    }
  };
  return {
    vault,
    backups: (collection) => vault(async (at) => (await listBackups(at, collection)).map(({name}) => name)),
    backup: (collection, type, {form, ...options} = {}) =>
      vault(async (at) => {
        const opened = await sourceOf(place.database);
        const source = form === 'rows' ? asRows(opened) : opened;
        const name = await planBackup(at, source, {collection, type, ...options, nowMicros: nowMicros()});
        return (
          await takeBackup({...tools(), vault: at, source}, {collection, type, name, operation: 'test', ...options})
        ).backup;
      }),
    verify: (collection) =>
      vault(async (at) => void (await verifyBackups({...tools(), vault: at}, {collection, level: 'data'}))),
    restore: (collection, target, point, tables, options = {}) =>
      vault(async (at) => {
        const source = await sourceOf(target);
        const plan = await planRestore(at, source, {collection, point, tables, ...options});
        requirePossible(plan);
        const stagingId = randomBytes(4).toString('hex');
        return restoreBackup({...tools(), vault: at, source}, {...plan, ...options, stagingId, check: 'full'});
      }),
    cleanUp: (collection) =>
      vault(async (at) => {
        const retention = collection === undefined ? undefined : {collection};
        return (await cleanUp({...tools(), vault: at}, 'test', retention)).freedBytes;
      }),
  };
}

const sourceOf = async (database: string | TableSource) =>
  typeof database === 'string' ? openSource({scheme: 'sqlite', path: database}) : database;

let pieces = 0;
const running = new Set<string | undefined>();

/**
 * Each piece of work appears as a separate process to the others, as with real workers: what a failed one could
 * not release belongs to a dead process.
 */
function pieceOfWork(): {host: Host; end: () => void} {
  const here = thisHost();
  const started = `piece-${++pieces}`;
  running.add(started);
  return {
    host: {
      ...here,
      started,
      isAlive: (pid, since) =>
        pid === here.pid && since?.startsWith('piece-') ? running.has(since) : here.isAlive(pid, since),
    },
    end: () => running.delete(started),
  };
}

/** Makes the collection c of the whole database, with increments. */
export async function collectDatabase(bench: Pick<Bench, 'vault'>): Promise<void> {
  await bench.vault((vault) =>
    createCollection(
      {vault, nowMicros: () => Date.now() * 1000, randomId: () => 'c'.repeat(32)},
      {
        name: 'c',
        members: {kind: 'database'},
        settings: [{key: 'INCREMENTAL_BACKUP_ENABLED', value: 'true'}],
        ifNotExists: false,
      },
    ),
  );
}
