import {existsSync, readdirSync, renameSync, rmSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {QuestDbServer} from '../test/servers/questdb-server.ts';

/** Rows per day and table for which the database is about 1 GiB, not counting zero tails. */
const rowsPerGib = 600_000;
export const days = 10;
const microsPerDay = 86_400_000_000;
const firstDayMicros = Date.UTC(2026, 0, 1) * 1000;

/** Three tables: prices, market depth, and readings with text and an index. */
const tables = [
  {
    name: 'trades',
    columns: 'symbol SYMBOL, side SYMBOL, price DOUBLE, amount DOUBLE, id LONG',
    values: (x: string) =>
      `('s' || (${x} * 7) % 53)::SYMBOL, rnd_symbol('buy', 'sell'),
       round(100 + 50 * sin(${x} / 5000.0) + rnd_double(), 2), round(rnd_double() * 10, 4), ${x}`,
  },
  {
    name: 'quotes',
    columns: 'symbol SYMBOL, bid DOUBLE, ask DOUBLE, bid_size INT, ask_size INT, source SYMBOL',
    values: (x: string) =>
      `('s' || (${x} * 11) % 53)::SYMBOL, round(100 + rnd_double(), 2), round(101 + rnd_double(), 2),
       rnd_int(1, 500, 0), rnd_int(1, 500, 0), rnd_symbol('a', 'b', 'c')`,
  },
  {
    name: 'readings',
    columns: 'device SYMBOL INDEX, value DOUBLE, counter LONG, note VARCHAR',
    values: (x: string) =>
      `('d' || ${x} % 211)::SYMBOL, rnd_double() * 40, ${x}, ` +
      `'batch ' || (${x} / 1000) || ' of line ' || rnd_int(1, 9, 0)`,
  },
] as const;

const dayText = (day: number) => new Date((firstDayMicros + day * microsPerDay) / 1000).toISOString().slice(0, 10);
export const dayRows = (gib: number) => Math.max(1000, Math.round(rowsPerGib * gib));

/** One full day, in order; no two steps have the same length. */
async function appendDay(server: QuestDbServer, table: (typeof tables)[number], day: number, rows: number) {
  const step = Math.floor(microsPerDay / rows);
  const start = firstDayMicros + day * microsPerDay;
  const x = `(x + ${day * rows})`;
  await server.sql(
    `INSERT INTO ${table.name}
     SELECT (${start} + (x - 1) * ${step} + rnd_long(0, ${step - 1}, 0))::TIMESTAMP, ${table.values(x)}
     FROM long_sequence(${rows})`,
  );
}

/** The root of a stopped server with the data; generated once and kept in `folder`. */
export async function questDbRoot(folder: string, gib: number): Promise<string> {
  const root = join(folder, `questdb-${gib}gib`);
  if (existsSync(root)) return root;
  console.error(`making ${root}`);
  const half = `${root}.half`;
  rmSync(half, {recursive: true, force: true});
  const server = await QuestDbServer.start({root: half});
  try {
    for (const table of tables) {
      await server.sql(
        `CREATE TABLE ${table.name} (ts TIMESTAMP, ${table.columns}) TIMESTAMP(ts) PARTITION BY DAY WAL`,
      );
      for (let day = 0; day < days; day++) await appendDay(server, table, day, dayRows(gib));
    }
    await server.applied();
  } finally {
    await server.end();
  }
  renameSync(half, root);
  return root;
}

/**
 * Inserts a row into each table, so that the newest partitions are open and have the preallocated tails of a
 * live server.
 */
export async function openPartitions(server: QuestDbServer): Promise<void> {
  const end = firstDayMicros + days * microsPerDay - 1;
  for (const {name, values} of tables) {
    await server.sql(`INSERT INTO ${name} SELECT ${end}::TIMESTAMP, ${values('x')} FROM long_sequence(1)`);
  }
  await server.applied();
}

/** Adds a day to each table, 2,000 late rows to one old day, and updates some rows of another. */
export async function changeQuestDb(server: QuestDbServer, gib: number): Promise<string> {
  const rows = dayRows(gib);
  for (const table of tables) await appendDay(server, table, days, rows);
  const [trades] = tables;
  const late = 2000;
  const start = firstDayMicros + 3 * microsPerDay;
  await server.sql(
    `INSERT INTO trades SELECT (${start} + x * ${Math.floor(microsPerDay / late)})::TIMESTAMP, ${trades.values('x')}
     FROM long_sequence(${late})`,
  );
  // Both sizes are spread evenly over 1 to 500, so this meets about 37 rows of the day.
  const below = Math.ceil((37 * 250_000) / rows) + 1;
  await server.sql(
    `UPDATE quotes SET bid = bid + 1, bid_size = 7 WHERE ts IN '${dayText(5)}' AND bid_size = 3 ` +
      `AND ask_size < ${below}`,
  );
  await server.applied();
  return (
    `${(3 * rows).toLocaleString('en')} rows appended, ${late} late rows into ${dayText(3)}, ` +
    `an update in ${dayText(5)}`
  );
}

/**
 * Queries whose results are equal if two databases hold the same rows; only integer sums, because sums of
 * floats depend on their order.
 */
export async function fingerprint(server: QuestDbServer): Promise<string> {
  const whole = (column: string) => `sum((${column} * 10000)::LONG)`;
  const facts = [
    `SELECT count(), min(ts), max(ts), sum(id), ${whole('price')}, ${whole('amount')} FROM trades`,
    `SELECT count(), min(ts), max(ts), ${whole('bid')}, ${whole('ask')}, sum(bid_size) FROM quotes`,
    `SELECT count(), min(ts), max(ts), sum(counter), sum(length(note)), ${whole('value')} FROM readings`,
    `SELECT count(), ${whole('value')} FROM readings WHERE device = 'd7'`,
  ];
  return JSON.stringify(await Promise.all(facts.map((query) => server.sql(query))));
}

/** One partition: `files` changes with any of its files, `rows` only with the table's metadata about it. */
export type PartitionStamp = {files: string; rows: string};

/** All partitions, by their folders relative to `db`. Late rows and updates rename folders and files. */
export async function partitionStamps(server: QuestDbServer): Promise<Map<string, PartitionStamp>> {
  const stamps = new Map<string, PartitionStamp>();
  const db = join(server.root, 'db');
  for (const {name: table} of tables) {
    const [[folder]] = (await server.sql(`SELECT directoryName FROM tables() WHERE table_name = '${table}'`)) as [
      [string],
    ];
    const counts = new Map(
      (await server.sql(`SELECT name, numRows FROM table_partitions('${table}')`)) as [string, number][],
    );
    for (const partition of readdirSync(join(db, folder)).filter((name) => /^\d{4}-\d\d-\d\d/.test(name))) {
      const files = readdirSync(join(db, folder, partition)).sort();
      const stamp = (file: string) => {
        const {size, mtimeMs, ino} = statSync(join(db, folder, partition, file));
        return `${file} ${size} ${mtimeMs} ${ino}`;
      };
      const rows = counts.get(partition.replace(/\.\d+$/, ''));
      stamps.set(`${folder}/${partition}`, {files: files.map(stamp).join('\n'), rows: `${rows} ${files.join(' ')}`});
    }
  }
  return stamps;
}
