/**
 * npm run bench:encryption -- [--gib 0.5] [--rounds 3] [--data FOLDER] [--alone]
 *
 * What encryption costs: the same steps with a vault without and with encryption, in one run, beside restic and borg,
 * which encrypt as well. Prints medians, and what the encrypted vault takes for each unit of the other one, round by
 * round. A password is derived anew by each command, which takes the same time at every size: it has a figure of its
 * own, and what a step costs is measured with a key too, and with the password less its opening. `--alone`: no other
 * program, and so a shorter time in which the machine has to be quiet.
 */
import {execFileSync} from 'node:child_process';
import {mkdirSync, rmSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {parseArgs} from 'node:util';
import {changeShop} from '../src/commands/demo/shop.ts';
import {shopDatabase} from './data.ts';
import {folderBytes, has, median, type Run} from './measure.ts';
import {
  bkp,
  bkpCommand,
  bkpOperation,
  borg,
  copyDatabase,
  encryptedBorg,
  type Place,
  restic,
  type Tool,
} from './tools.ts';

const {values} = parseArgs({
  options: {
    gib: {type: 'string', default: '0.5'},
    rounds: {type: 'string', default: '3'},
    alone: {type: 'boolean', default: false},
    data: {type: 'string', default: join(import.meta.dirname, 'data')},
  },
});
const work = join(values.data, 'work');
const database = shopDatabase(values.data, Number(values.gib));
console.log(`node ${process.versions.node}; database: ${(statSync(database).size / 2 ** 20).toFixed(0)} MiB\n`);

const encrypted: Tool = {...bkp, name: 'bkp, encrypted', prepare: (place) => bkp.prepare(place)};
const tools = [
  bkp,
  encrypted,
  ...(values.alone ? [] : [restic, borg, encryptedBorg]).filter(({needs}) => needs.every(has)),
];

type Measured = Required<Run> & {storedBytes: number};
/** step -> tool -> what it took in each round */
const taken = new Map<string, Map<string, Measured[]>>();
const reencryption = 're-encryption';
/** Bytes that the copy and the re-encryption of the encrypted vault wrote in each round. */
const moved: {copied: number; reencrypted: number}[] = [];

for (let round = 0; round < Number(values.rounds); round++) {
  console.error(`round ${round + 1} of ${values.rounds}`);
  await playRound(round);
}
printMedians();
printCost();
printDemands();

async function playRound(number: number): Promise<void> {
  rmSync(work, {recursive: true, force: true});
  mkdirSync(work, {recursive: true});
  const shop = join(work, 'shop.db');
  copyDatabase(database, shop);
  const order = [...tools.slice(number % tools.length), ...tools.slice(0, number % tools.length)];
  const places = new Map(order.map((tool) => [tool, placeOf(tool, shop)]));
  for (const [tool, place] of places) await tool.prepare(place);
  const step = async (name: string, act: (tool: Tool, place: Place) => Promise<Run>, only = order) => {
    for (const tool of order.filter((one) => only.includes(one))) {
      const place = places.get(tool)!;
      const before = tool.stored(place);
      // What one tool left to be written is not for the next one to wait for.
      execFileSync('sync');
      const run = await act(tool, place);
      note(name, tool, {cpuSeconds: Number.NaN, peakMiB: Number.NaN, ...run, storedBytes: tool.stored(place) - before});
    }
  };
  const both = [bkp, encrypted];
  const sealed = places.get(encrypted)!;
  const keyFile = join(sealed.folder, 'key.txt');
  // Opened with a key: what is left of the difference is the vault's, not that of a password's derivation.
  const byKey = (place: Place) => (place === sealed ? {...place, env: {BKP_PASSWORD_FILE: keyFile}} : place);
  /** A step of both once more, with a key. */
  const stepByKey = (name: string, act: (tool: Tool, place: Place) => Promise<Run>) =>
    step(`${name}, by key`, (tool, place) => act(tool, byKey(place)), both);
  await step('full', (tool, place) => tool.full(place));
  await bkpCommand(sealed, ['vault', 'key', 'add', '--key-file', keyFile]);
  changeShop(shop);
  await step('next after 1 %', (tool, place) => tool.next(place));
  await step('second full', (tool, place) => tool.full(place), both);
  changeAgain(shop);
  await stepByKey('second full', (tool, place) => tool.full(place));
  await step('restore', (tool, place) => tool.restore(place, join(place.folder, 'restored.db')));
  await stepByKey('restore', (tool, place) => tool.restore(place, join(place.folder, 'restored-by-key.db')));
  await step('verify all data', (tool, place) => tool.verify!(place));
  await stepByKey('verify all data', (tool, place) => tool.verify!(place));
  await step('SHOW BACKUPS', (_, place) => bkpCommand(place, ['sql', 'SHOW BACKUPS IN shop']), both);
  await step('operation list', (_, place) => bkpCommand(place, ['operation', 'list']), both);
  await stepByKey('SHOW BACKUPS', (_, place) => bkpCommand(place, ['sql', 'SHOW BACKUPS IN shop']));
  await step('copy', (_, place) => copied(byKey(place)), both);
  const reencrypt = ['vault', 'key', 'rotate', '--reencrypt', '--wait'];
  await step(reencryption, (_, place) => bkpOperation(byKey(place), reencrypt), [encrypted]);
  moved.push({copied: folderBytes(copyOf(sealed)), reencrypted: encrypted.stored(sealed)});
}

/** 1 % of the rows of order_items, other ones than changeShop changes, which works once. */
function changeAgain(shop: string): void {
  const db = new DatabaseSync(shop);
  db.exec('UPDATE order_items SET quantity = quantity + 1 WHERE (order_id * 2654435761 + line * 40503) % 100 = 29');
  db.close();
}

function copyOf({folder}: Place): string {
  return join(folder, 'copy');
}

/** On the same disk; the new vault is encrypted if the secret of this one is set. */
function copied(place: Place): Promise<Run> {
  mkdirSync(copyOf(place), {recursive: true});
  return bkpOperation(place, ['sql', '--wait', `COPY BACKUP COLLECTION shop TO 'fs::root=${copyOf(place)}'`]);
}

function placeOf(tool: Tool, shop: string): Place {
  const folder = join(work, tool.name.replace(/\W+/g, '-'));
  mkdirSync(folder, {recursive: true});
  const place = {folder, database: shop};
  return tool === encrypted ? {...place, env: {BKP_PASSWORD: 'benchmark'}} : place;
}

function note(step: string, tool: Tool, measured: Measured): void {
  const of = taken.get(step) ?? new Map<string, Measured[]>();
  taken.set(step, of.set(tool.name, [...(of.get(tool.name) ?? []), measured]));
}

function printMedians(): void {
  console.log('| step | tool | wall s | CPU s | peak MiB | MiB added |\n| --- | --- | --- | --- | --- | --- |');
  for (const [step, of] of taken) {
    for (const [tool, runs] of of) {
      const each = (pick: (run: Measured) => number) => median(runs.map(pick));
      const wall = each((run) => run.wallSeconds).toFixed(2);
      const cpu = each((run) => run.cpuSeconds).toFixed(2);
      const peak = each((run) => run.peakMiB).toFixed(0);
      const stored = each((run) => run.storedBytes / 2 ** 20).toFixed(2);
      console.log(`| ${step} | ${tool} | ${wall} | ${cpu} | ${peak} | ${stored} |`);
    }
  }
}

/** Encrypted against plain: ratios, for the peak of memory the difference; for statements that take no time, ms. */
function printCost(): void {
  console.log('\n| encrypted against plain | CPU | wall | stored | peak MiB | wall ms more |');
  console.log('| --- | --- | --- | --- | --- | --- |');
  for (const [step, of] of taken) {
    const [plain, sealed] = [of.get(bkp.name), of.get(encrypted.name)];
    if (plain === undefined || sealed === undefined) continue;
    const each = (pick: (a: Measured, b: Measured) => number) => median(plain.map((run, at) => pick(run, sealed[at]!)));
    const cells = [
      each((a, b) => b.cpuSeconds / a.cpuSeconds).toFixed(3),
      each((a, b) => b.wallSeconds / a.wallSeconds).toFixed(3),
      each((a, b) => (a.storedBytes < 2 ** 19 ? Number.NaN : b.storedBytes / a.storedBytes)).toFixed(3),
      each((a, b) => b.peakMiB - a.peakMiB).toFixed(0),
      each((a, b) => (b.wallSeconds - a.wallSeconds) * 1000).toFixed(0),
    ];
    console.log(`| ${step} | ${cells.map((cell) => cell.replace('NaN', '')).join(' | ')} |`);
  }
}

type Demand = {what: string; limit: number; isLeast?: true; each: (at: number) => number};

/** What encryption may cost at most, and the median of the rounds. */
function printDemands(): void {
  const of = (step: string, tool: Tool, at: number) => taken.get(step)!.get(tool.name)![at]!;
  const ratio = (step: string, pick: (run: Measured) => number) => (at: number) =>
    pick(of(step, encrypted, at)) / pick(of(step, bkp, at));
  const cpu = ({cpuSeconds}: Measured) => cpuSeconds;
  const wall = ({wallSeconds}: Measured) => wallSeconds;
  const stored = ({storedBytes}: Measured) => storedBytes;
  const more = (step: string) => (at: number) =>
    (of(step, encrypted, at).wallSeconds - of(step, bkp, at).wallSeconds) * 1000;
  const speed = (at: number) => {
    const {copied: copiedBytes, reencrypted} = moved[at]!;
    const [copy, again] = [of('copy', encrypted, at), of(reencryption, encrypted, at)];
    return reencrypted / again.wallSeconds / (copiedBytes / copy.wallSeconds);
  };
  /** What the step with a password takes without the opening, as SHOW BACKUPS of the same round has it. */
  const lessOpening = (step: string) => (at: number) =>
    (of(step, encrypted, at).wallSeconds - more('SHOW BACKUPS')(at) / 1000) / of(step, bkp, at).wallSeconds;
  const ofStep = (step: string, most: {cpu: number; wall: number}): Demand[] => [
    {what: `${step}: CPU`, limit: most.cpu, each: ratio(step, cpu)},
    {what: `${step}, less the opening: wall`, limit: most.wall, each: lessOpening(step)},
    ...(taken.has(`${step}, by key`)
      ? [
          {what: `${step}, by key: CPU`, limit: most.cpu, each: ratio(`${step}, by key`, cpu)},
          {what: `${step}, by key: wall`, limit: most.wall, each: ratio(`${step}, by key`, wall)},
        ]
      : []),
  ];
  const demands: Demand[] = [
    ...ofStep('full', {cpu: 1.08, wall: 1.05}),
    {what: 'full: stored', limit: 1.02, each: ratio('full', stored)},
    ...ofStep('second full', {cpu: 1.12, wall: 1.08}),
    {what: 'second full, by key: stored', limit: 1.06, each: ratio('second full, by key', stored)},
    ...ofStep('restore', {cpu: 1.1, wall: 1.08}),
    ...ofStep('verify all data', {cpu: 1.1, wall: 1.08}),
    {what: 'opening with a key: ms more', limit: 60, each: more('SHOW BACKUPS, by key')},
    {what: 'opening with a password: ms more', limit: 800, each: more('SHOW BACKUPS')},
    {what: 're-encryption: speed against COPY', limit: 0.8, isLeast: true, each: speed},
    {
      what: 'full: peak MiB more',
      limit: 10,
      each: (at) => of('full', encrypted, at).peakMiB - of('full', bkp, at).peakMiB,
    },
  ];
  console.log('\n| demand | limit | median | |\n| --- | --- | --- | --- |');
  for (const {what, limit, isLeast = false, each} of demands) {
    const found = median(moved.map((_, at) => each(at)));
    const isReached = isLeast ? found >= limit : found <= limit;
    const bound = `${isLeast ? 'at least' : 'at most'} ${limit}`;
    console.log(`| ${what} | ${bound} | ${found.toFixed(3)} | ${isReached ? '' : '**not reached**'} |`);
  }
}
