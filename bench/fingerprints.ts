import {execFileSync} from 'node:child_process';
import {cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {openBackup} from '../src/collections/index.ts';
import {openDirectoryStore} from '../src/stores/index.ts';
import {openVault} from '../src/vault/index.ts';
import {shopDatabase} from './data.ts';
import {median} from './measure.ts';
import {bkp, type Place} from './tools.ts';

/**
 * What fingerprints cost a full backup: `node bench/fingerprints.ts <folder> [gib] [rounds]`.
 *
 * bkp has no option that leaves them out, so this builds it twice from the sources of the checkout: as it is, and with
 * the edits below, which exist only in <folder>. The other program reads, cuts, compresses and writes the same records,
 * and does not hash them. Each round takes a full backup of the demo's shop with either, in another order each time;
 * CPU is that of the worker with all of its threads, from the operation's log. The manifests are read to see that one
 * program recorded a fingerprint of each table, and the other one none.
 */
const [folder, gib = '1', rounds = '5'] = process.argv.slice(2);
if (folder === undefined) throw new Error('node bench/fingerprints.ts <folder> [gib] [rounds]');

/** The records are not hashed; the sum of their hashes stays that of no row. */
const edits: readonly Edit[] = [
  {
    file: 'src/sources/sqlite/pages/extractor.ts',
    from: '    if (plan === undefined) {\n      this.#module.beginContent(0, 0, false);',
    to: '    if (plan !== null) {\n      this.#module.beginContent(0, 0, false);',
  },
];
type Edit = {file: string; from: string; to: string};
type Which = 'with' | 'without';

const checkout = resolve(import.meta.dirname, '..');
const work = resolve(folder, 'fingerprints');
rmSync(work, {recursive: true, force: true});
mkdirSync(work, {recursive: true});
const programs: Record<Which, string> = {with: built('with', []), without: built('without', edits)};

const database = shopDatabase(folder, Number(gib));
const cpu: Record<Which, number[]> = {with: [], without: []};
for (let round = 0; round < Number(rounds); round++) {
  const order: Which[] = round % 2 === 0 ? ['with', 'without'] : ['without', 'with'];
  for (const which of order) cpu[which].push(await fullBackup(which));
}
for (const which of ['with', 'without'] as const) {
  const each = cpu[which].map((seconds) => seconds.toFixed(2)).join(', ');
  console.log(`full backup ${which} fingerprints: CPU ${median(cpu[which]).toFixed(2)} s (${each})`);
}
const ratios = cpu.with.map((seconds, at) => seconds / cpu.without[at]!);
console.log(
  `full backup, CPU with fingerprints against without: ${median(ratios).toFixed(3)} ` +
    `(${ratios.map((ratio) => ratio.toFixed(3)).join(', ')})`,
);

/** @returns the program's entry */
function built(name: Which, changes: readonly Edit[]): string {
  const root = join(work, name);
  for (const part of ['src', 'assembly', 'scripts', 'bin', 'package.json'])
    cpSync(join(checkout, part), join(root, part), {recursive: true});
  symlinkSync(join(checkout, 'node_modules'), join(root, 'node_modules'));
  for (const {file, from, to} of changes) {
    const parts = readFileSync(join(root, file), 'utf8').split(from);
    if (parts.length !== 2) throw new Error(`${file} has the text to edit ${parts.length - 1} times, not once`);
    writeFileSync(join(root, file), parts.join(to));
  }
  execFileSync(process.execPath, [join(root, 'scripts/build.js')]);
  return join(root, 'bin', 'bkp.js');
}

/** @returns seconds of CPU */
async function fullBackup(which: Which): Promise<number> {
  const place = {folder: join(work, 'place'), database, entry: programs[which]};
  rmSync(place.folder, {recursive: true, force: true});
  mkdirSync(place.folder);
  await bkp.prepare(place);
  const {cpuSeconds} = await bkp.full(place);
  await requireFingerprints(place, which === 'with');
  return cpuSeconds!;
}

async function requireFingerprints(place: Place, areHashed: boolean): Promise<void> {
  const store = await openDirectoryStore({root: join(place.folder, 'cluster'), create: false});
  const vault = await openVault({store, create: false});
  const {backup} = await openBackup(vault, {collection: 'shop', point: undefined});
  vault.close();
  for (const {schema, content} of backup.body.tables) {
    const isHashed = content !== undefined && !/^0*$/.test(content.hash);
    if (isHashed !== areHashed) throw new Error(`${schema.name}: ${isHashed ? 'a' : 'no'} fingerprint was recorded`);
  }
}
