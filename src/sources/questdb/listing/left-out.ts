import type {QuestDbHttp} from '../server/http.ts';

/** A notice names at most this many partitions or tables. */
const mostNamed = 5;

/**
 * What the folders of the tables have that a backup does not contain: detached partitions, which belong to no table,
 * and conversions that wait for the next start, which only the backup of a stopped server has. It is seen while the
 * files are listed.
 */
export class LeftOut {
  readonly #detached = new Set<string>();
  readonly #converting = new Set<string>();

  /** @param options.isLive the server is running */
  see(name: string, {table, isLive}: {table: string; isLive: boolean}): void {
    const partition = /^(.+)\.(detached|attachable)$/.exec(name)?.[1];
    if (partition !== undefined) this.#detached.add(`${partition} of ${table}`);
    if (isLive && name === '_convert') this.#converting.add(table);
  }

  sentences(): readonly string[] {
    const detached = [...this.#detached];
    return [
      ...(detached.length === 0 ? [] : [`detached partitions are not in the backup: ${listed(detached)}`]),
      ...[...this.#converting].map((name) => `SET TYPE of table ${name} waits for a restart: it is not in the backup`),
    ];
  }
}

/**
 * Tables that a server has suspended: it takes their new transactions and applies none. A backup has both, but the rows
 * that wait are in no count, and may stay unnoticed.
 */
export async function suspendedTables(http: QuestDbHttp): Promise<readonly string[]> {
  const answer = await http.ask('SELECT name, suspended FROM wal_tables()');
  const rows = 'rows' in answer ? answer.rows : [];
  const names = rows.filter(({suspended}) => suspended === true).map(({name}) => String(name));
  if (names.length === 0) return [];
  const resume = `ALTER TABLE '${names[0]!.replaceAll("'", "''")}' RESUME WAL`;
  return [
    `suspended: ${listed(names)}: the transactions that wait are in the backup, and a server that starts on a ` +
      `restored copy tries them again; ${resume} tries them now`,
  ];
}

const listed = (names: readonly string[]) =>
  names.length <= mostNamed
    ? names.join(', ')
    : `${names.slice(0, mostNamed).join(', ')} and ${names.length - mostNamed} more`;
