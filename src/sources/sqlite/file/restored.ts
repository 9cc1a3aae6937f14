import {execFile} from 'node:child_process';
import {statSync} from 'node:fs';
import {open} from 'node:fs/promises';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import * as v from 'valibot';
import {BkpError} from '../../../errors/index.ts';
import {formatCount} from '../../../lib/figures.ts';
import {count, parsedJson, text} from '../../../lib/schema.ts';
import type {DatabaseMoment, FrozenFile} from '../../file-source.ts';
import type {RestoredDatabase, RestoredFindings, RestoredSql} from '../../restored-database.ts';
import type {Examined} from './examine.ts';

const run = promisify(execFile);
const lines = v.array(text);
const examinedSchema = v.object({
  check: v.object({damage: lines, brokenRules: lines, unchecked: lines}),
  dangling: lines,
  tables: v.array(v.object({name: text, rows: count})),
});

/** Names of many tables, and the faults of a file, as JSON. */
const mostOutputBytes = 256 * 1024 * 1024;
const readBytes = 1024 * 1024;

/** A restored SQLite file, which only the drill has open. */
export class RestoredSqlite implements RestoredDatabase {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async read({sizeBytes}: FrozenFile): Promise<AsyncIterable<Uint8Array> | undefined> {
    const found = statSync(this.#path, {throwIfNoEntry: false});
    return found?.isFile() && found.size === sizeBytes ? bytesOf(this.#path) : undefined;
  }

  async examine({moment, signal}: {moment: DatabaseMoment; signal: AbortSignal}): Promise<RestoredFindings> {
    const {check, dangling, tables} = await examined(this.#path, signal);
    const {damage, brokenRules, unchecked} = check;
    const present = new Set(tables.map((table) => table.name));
    const lost = moment.tables.filter((table) => !present.has(table.name) && !isNamed(unchecked, table.name));
    return {
      checked: [
        damage.length === 0
          ? `SQLite's integrity_check found no fault in it${unchecked.length > 0 ? ', as far as it could run' : ''}.`
          : "SQLite's integrity_check ran.",
        `The rows of all tables were counted: ${formatCount(tables.length, 'table')}.`,
        ...(brokenRules.length > 0
          ? [`As in the original, rows break rules of their own tables: ${brokenRules.join('; ')}.`]
          : []),
        dangling.length === 0
          ? 'foreign_key_check found no row that refers to a missing one.'
          : `As in the original, rows refer to rows that do not exist: ${dangling.join('; ')}.`,
      ],
      notChecked: unchecked.length > 0 ? [`SQLite cannot check ${unchecked.join('; ')}.`] : [],
      faults: [
        ...damage.map((fault) => `SQLite finds damage: ${fault}`),
        ...(damage.length > 0 ? [] : lost.map((table) => `table ${table.name} is missing`)),
      ],
      tables,
    };
  }

  sql(): RestoredSql {
    return {file: this.#path};
  }

  async close(): Promise<void> {}
}

const isNamed = (unchecked: readonly string[], table: string) =>
  unchecked.some((line) => line.startsWith(`table ${table} (`));

/** In another process, which a cancel kills. @throws when it could not run: that is no fault of the backup */
async function examined(path: string, signal: AbortSignal): Promise<Examined> {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const script = fileURLToPath(new URL(`examine-process.${ending}`, import.meta.url));
  const options = {signal, killSignal: 'SIGKILL', maxBuffer: mostOutputBytes} as const;
  try {
    const {stdout} = await run(process.execPath, [script, path], options);
    return parsedJson<Examined>(examinedSchema, stdout, (why) => new Error(why));
  } catch (error) {
    signal.throwIfAborted();
    const [reason] = (error as Error).message.split('\n');
    throw new BkpError('SOURCE_UNAVAILABLE', `the restored database could not be checked: ${reason}`, {
      cause: error,
      next: 'verify it again; bkp operation get last --log has what the check printed',
    });
  }
}

async function* bytesOf(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r');
  try {
    for (;;) {
      const {bytesRead, buffer} = await file.read(Buffer.allocUnsafe(readBytes), 0, readBytes);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
