/**
 * npm run bench:questdb -- [--gib 1] [--rounds 3] [--data FOLDER] [--alone]
 *
 * Compares BACKUP DATABASE of a running QuestDB with restic on the same root, in one run: a first backup, a
 * second one after a new day, late rows and an update, and a restore. Also measures what QuestDB Enterprise
 * would upload again, and inserts during a backup. The server is real (`scripts/questdb-jar.js`). `--alone`
 * leaves out restic and the inserts, to measure the memory for larger databases.
 */
import {spawnSync} from 'node:child_process';
import {cpSync, mkdirSync, rmSync} from 'node:fs';
import {availableParallelism, cpus, totalmem} from 'node:os';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {listDatabaseBackups} from '../src/database/index.ts';
import {openDirectoryStore} from '../src/stores/index.ts';
import {openVault} from '../src/vault/index.ts';
import {QuestDbServer} from '../test/servers/questdb-server.ts';
import {folderBytes, has, type Run, run} from './measure.ts';
import {
  changeQuestDb,
  fingerprint,
  openPartitions,
  type PartitionStamp,
  partitionStamps,
  questDbRoot,
} from './questdb-data.ts';
import {type Packed, type QuestDbRound, reportQuestDb} from './questdb-report.ts';
import {type InsertRates, insertRates} from './questdb-writer.ts';
import {bkpCommand, bkpOperation, type Place, resticRun} from './tools.ts';

const {values} = parseArgs({
  options: {
    gib: {type: 'string', default: '1'},
    rounds: {type: 'string', default: '3'},
    data: {type: 'string', default: join(import.meta.dirname, 'data')},
    alone: {type: 'boolean', default: false},
  },
});
const gib = Number(values.gib);
const work = join(values.data, 'questdb-work');

/** The paths that QuestDB's documentation tells users to copy, without the web console and the like. */
const copied = ['db', '.checkpoint', 'conf'];

/** `root` belongs to the running server; everything else is in the tool's own folder. */
type Tool = {
  name: 'bkp' | 'restic';
  prepare: (place: Place, server: QuestDbServer) => Promise<void>;
  backup: (place: Place, server: QuestDbServer) => Promise<Run>;
  restore: (place: Place, root: string) => Promise<Run>;
  stored: (place: Place) => number;
};

/** Times complete statements, including both processes and the checkpoint. */
const bkp: Tool = {
  name: 'bkp',
  prepare: async (place, server) => {
    mkdirSync(storeOf(place));
    await bkpCommand(place, ['config', 'set', 'source', `questdb::root=${server.root};http=${server.url}`]);
    await bkpCommand(place, ['config', 'set', 'backup.object.store', `fs::root=${storeOf(place)}`]);
  },
  backup: (place) => bkpOperation(place, ['sql', '--wait', 'BACKUP DATABASE']),
  restore: (place, root) => bkpOperation(place, ['restore', '--root', root, '--wait']),
  stored: (place) => folderBytes(storeOf(place)),
};

/** restic always encrypts. Its time excludes CHECKPOINT CREATE and RELEASE. */
const restic: Tool = {
  name: 'restic',
  prepare: async (place) => void (await resticRun(place, ['init'])),
  backup: async (place, server) => {
    await server.sql('CHECKPOINT CREATE');
    try {
      return await resticRun(place, ['backup', ...copied.map((name) => join(server.root, name))]);
    } finally {
      await server.sql('CHECKPOINT RELEASE');
    }
  },
  restore: (place, root) => resticRun(place, ['restore', 'latest', '--target', root]),
  stored: ({folder}) => folderBytes(join(folder, 'restic')),
};

const storeOf = ({folder}: Place) => join(folder, 'store');

const withRestic = !values.alone && has('restic');
if (!withRestic) console.log('left out: restic');
const original = await questDbRoot(values.data, gib);
console.log(
  `node ${process.versions.node}, ${availableParallelism()} cores (${cpus()[0]?.model}), ` +
    `${Math.round(totalmem() / 2 ** 30)} GiB memory`,
);
const rounds: QuestDbRound[] = [];
for (let number = 0; number < Number(values.rounds); number++) {
  console.error(`round ${number + 1} of ${values.rounds}`);
  rounds.push(await playRound(number));
}
reportQuestDb(rounds);
rmSync(work, {recursive: true, force: true});

async function playRound(number: number): Promise<QuestDbRound> {
  rmSync(work, {recursive: true, force: true});
  mkdirSync(work, {recursive: true});
  const root = join(work, 'root');
  cpSync(original, root, {recursive: true});
  const server = await QuestDbServer.start({root});
  try {
    await openPartitions(server);
    if (number === 0) tellRoot(root);
    const tools: Tool[] = withRestic ? [bkp, restic] : [bkp];
    if (number % 2 === 1) tools.reverse();
    return await compare(server, tools);
  } finally {
    await server.end();
  }
}

async function compare(server: QuestDbServer, tools: readonly Tool[]): Promise<QuestDbRound> {
  const steps: QuestDbRound['steps'] = new Map();
  const places = new Map(tools.map((tool) => [tool, placeOf(server, tool.name)] as const));
  for (const [tool, place] of places) await tool.prepare(place, server);
  const step = async (name: string, act: (tool: Tool, place: Place) => Promise<Run>) => {
    const runs = new Map<string, Run & {storedBytes?: number}>();
    for (const [tool, place] of places) {
      // Flush dirty pages first, so that no tool pays for the previous one's writes.
      spawnSync('sync');
      const before = tool.stored(place);
      const done = await act(tool, place);
      const added = tool.stored(place) - before;
      runs.set(tool.name, {...done, ...(name === 'restore' ? {} : {storedBytes: added})});
    }
    steps.set(name, runs);
  };
  await step('first', (tool, place) => tool.backup(place, server));
  const before = await partitionStamps(server);
  console.error(await changeQuestDb(server, gib));
  await step('next', (tool, place) => tool.backup(place, server));
  const partitions = await changedPartitions(server, before);
  const wanted = await fingerprint(server);
  await step('restore', (tool, place) => tool.restore(place, join(work, `restored-${tool.name}`)));
  const facts = await manifestFacts(storeOf(places.get(bkp)!));
  await requireSame(join(work, 'restored-bkp'), wanted);
  for (const tool of tools) rmSync(join(work, `restored-${tool.name}`), {recursive: true});
  return {steps, partitions, ...facts, ...(values.alone ? {} : {inserts: await insertsDuringBackup(server)})};
}

/** Uses a separate store: a first backup reads and packs everything, which is the heaviest load. */
async function insertsDuringBackup(server: QuestDbServer): Promise<InsertRates> {
  const place = placeOf(server, 'busy');
  await bkp.prepare(place, server);
  return insertRates(server, gib < 0.5 ? 3 : 10, () => bkp.backup(place, server));
}

function placeOf(server: QuestDbServer, name: string): Place {
  const folder = join(work, name);
  mkdirSync(folder, {recursive: true});
  return {folder, database: server.root};
}

/** QuestDB Enterprise uploads a changed partition again, with all its files. */
async function changedPartitions(
  server: QuestDbServer,
  before: ReadonlyMap<string, PartitionStamp>,
): Promise<QuestDbRound['partitions']> {
  const now = await partitionStamps(server);
  const db = join(server.root, 'db');
  const packed = async (by: keyof PartitionStamp): Promise<Packed> => {
    const changed = [...now.keys()].filter((partition) => before.get(partition)?.[by] !== now.get(partition)![by]);
    const script = 'db=$1; shift; tar -C "$db" -cf - "$@" | zstd -q -5 -c | wc -c';
    const {stdout} = await run(['sh', '-c', script, 'sh', db, ...changed]);
    return {count: changed.length, of: now.size, bytes: Number(stdout.trim())};
  };
  return {files: await packed('files'), rows: await packed('rows')};
}

/** The two oldest backups, from their manifests. */
async function manifestFacts(store: string): Promise<Pick<QuestDbRound, 'held' | 'bytes'>> {
  const vault = await openVault({store: await openDirectoryStore({root: store, create: false})});
  try {
    const [first, next] = (await listDatabaseBackups(vault)).map(({body}) => body!);
    return {
      held: {first: first!.cost.heldMicros, next: next!.cost.heldMicros},
      bytes: {first: first!.bytes, nextRead: next!.cost.bytesRead},
    };
  } finally {
    vault.close();
  }
}

/** @throws Error if the restored root does not start or has different rows */
async function requireSame(root: string, wanted: string): Promise<void> {
  const server = await QuestDbServer.start({root});
  try {
    await server.applied();
    const found = await fingerprint(server);
    if (found !== wanted) throw new Error(`restored: ${found}\nwanted:   ${wanted}`);
  } finally {
    await server.end();
  }
}

function tellRoot(root: string): void {
  const sparse = spawnSync('sh', ['-c', 'tar -C "$1" -cf - db | zstd -q -1 -c | wc -c', 'sh', root], {
    encoding: 'utf8',
  });
  const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  console.log(
    `root: ${mib(folderBytes(join(root, 'db')))} MiB of files, ${mib(Number(sparse.stdout.trim()))} MiB with zstd -1\n`,
  );
}
