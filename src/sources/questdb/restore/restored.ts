import {createReadStream} from 'node:fs';
import {stat} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import type {DatabaseMoment, FrozenFile} from '../../file-source.ts';
import type {RestoredDatabase, RestoredFindings, RestoredSql} from '../../restored-database.ts';
import {examineRoot, type RestoredTable, type RootFindings} from '../listing/restored-files.ts';
import {applied, countRows, firstValue} from '../server/counts.ts';
import {EphemeralServer, type ServerCommand, ServerEnded} from '../server/ephemeral.ts';
import {serverVersion} from '../server/http.ts';
import {whyNotOwnRoot} from '../server/own-root.ts';

/** Tables that a server writes to by itself. */
const ofServer = /^(sys\.|telemetry|_)/;
/** Tables that a sentence names; the others are counted. */
const mostNamed = 20;

/** A restored root of QuestDB, and the server that a drill starts on it. */
export class RestoredQuestDb implements RestoredDatabase {
  readonly #root: string;
  readonly #command: ServerCommand | undefined;
  #server: EphemeralServer | undefined;

  /** @param command absent: no server is started */
  constructor(root: string, command: ServerCommand | undefined) {
    this.#root = root;
    this.#command = command;
  }

  async read({path, sizeBytes, zeroTailBytes}: FrozenFile): Promise<AsyncIterable<Uint8Array> | undefined> {
    const file = join(this.#root, path);
    const found = await stat(file).catch(() => undefined);
    if (!found?.isFile() || found.size !== sizeBytes + zeroTailBytes) return undefined;
    return sizeBytes === 0 ? nothing() : createReadStream(file, {end: sizeBytes - 1, highWaterMark: 1024 * 1024});
  }

  async examine({moment, signal}: {moment: DatabaseMoment; signal: AbortSignal}): Promise<RestoredFindings> {
    const files = await examineRoot(this.#root, moment);
    const found: RestoredFindings = {
      checked: files.faults.length > 0 ? [] : checkedFiles(files),
      notChecked: files.unknown,
      faults: files.faults,
      tables: files.tables.map(({name, rows}) => ({name, rows, ...expectedIn(moment, name)})),
    };
    if (this.#command === undefined) return {...found, notChecked: [...found.notChecked, withoutServer]};
    if (found.faults.length > 0) return {...found, notChecked: [...found.notChecked, 'No server was started on it.']};
    return this.#serve(this.#command, found, {files, moment, signal});
  }

  async #serve(
    command: ServerCommand,
    found: RestoredFindings,
    {files, moment, signal}: {files: RootFindings; moment: DatabaseMoment; signal: AbortSignal},
  ): Promise<RestoredFindings> {
    try {
      this.#server = await EphemeralServer.start(command, this.#root, signal);
    } catch (error) {
      if (!(error instanceof ServerEnded)) throw error;
      await requireCommand(command, join(dirname(this.#root), 'empty'), signal);
      return {...found, faults: [`a QuestDB server does not start on it, and prints: ${error.printed}`]};
    }
    const {http} = this.#server;
    const other = await whyNotOwnRoot(http, this.#root);
    if (other !== undefined) throw otherRoot(other);
    const version = await serverVersion(http);
    const faults = [...(await applied(http, signal))];
    const tables: RestoredFindings['tables'][number][] = [];
    const uncompared: string[] = [];
    for (const table of files.tables) {
      signal.throwIfAborted();
      const rows = await countRows(http, table.name);
      const {expected} = expectedIn(moment, table.name);
      const changes = changesOf(table);
      if (typeof rows !== 'number') {
        faults.push(`the server cannot read table ${table.name}: ${rows.error}`);
        continue;
      }
      if (changes !== undefined) uncompared.push(`${table.name} (${changes})`);
      else if (expected !== undefined && rows !== expected)
        faults.push(`the server counts ${rows} rows of ${table.name}, and the backup recorded ${expected}`);
      tables.push({name: table.name, rows, ...(changes === undefined ? {expected} : {})});
    }
    const compared = tables.filter(({expected}) => expected !== undefined).length;
    const served = [
      `A QuestDB ${version} server started on it, opened its ${files.tables.length} tables and suspended none.`,
      `It counts as many rows in ${compared} tables as the backup recorded.`,
    ];
    return {
      checked: [...found.checked, ...(faults.length > 0 ? [] : served)],
      notChecked: [
        ...found.notChecked,
        ...(uncompared.length > 0 ? [`The numbers of rows of ${named(uncompared)} were not compared.`] : []),
      ],
      faults,
      tables,
    };
  }

  sql(): RestoredSql | undefined {
    const server = this.#server;
    return server && {value: (sql, end) => firstValue(server.http, sql, end)};
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }
}

const withoutServer = 'No server has opened it: verify.questdb.command is not set.';

function checkedFiles({tables, partitions, files}: RootFindings): string[] {
  return [
    `The control files of all ${tables.length} tables can be read, and have as many rows as the backup recorded.`,
    `All ${files} files of the ${partitions} partitions that they name exist, with the lengths that their rows need.`,
  ];
}

const changesOf = ({name, changes}: RestoredTable) =>
  changes ?? (ofServer.test(name) ? 'the server writes to it by itself' : undefined);

function expectedIn({tables}: DatabaseMoment, name: string): {expected?: number} {
  const rows = tables.find((table) => table.name === name)?.rows;
  return rows === undefined ? {} : {expected: rows};
}

function named(items: readonly string[]): string {
  const more = items.length - mostNamed;
  return items.slice(0, mostNamed).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** Tells a backup that no server opens from a command that starts none. @throws BkpError `PRECONDITION` */
async function requireCommand(command: ServerCommand, empty: string, signal: AbortSignal): Promise<void> {
  try {
    await (await EphemeralServer.start(command, join(empty, 'root'), signal)).close();
  } catch (error) {
    if (!(error instanceof ServerEnded)) throw error;
    throw new BkpError('PRECONDITION', `verify.questdb.command starts no server, not even on an empty root`, {
      cause: `it ${error.message}; it prints: ${error.printed}`,
      next: 'run it by hand with -d DIR, and correct it: bkp config get verify.questdb.command',
    });
  }
}

function otherRoot(why: string): BkpError {
  return new BkpError('PRECONDITION', 'verify.questdb.command starts a server on another root', {
    cause: why,
    next: 'the command must pass on its last arguments, -d and the root: bkp config get verify.questdb.command',
  });
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
