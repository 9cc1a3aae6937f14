import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import * as v from 'valibot';
import {BkpError} from '../../../errors/index.ts';
import {parsedJson, text} from '../../../lib/schema.ts';
import type {FileCheck} from '../../file-source.ts';
import type {Connection} from '../engine/connection.ts';
import {quoteName} from '../engine/quote.ts';

/** SQLite stops the check after this many faults. */
const listedFaults = 20;

/**
 * SQLite checks about 1 GiB a second. Larger files are checked in another process, which a cancel can kill
 * immediately.
 */
const checkedHereBytes = 128 * 1024 * 1024;

/**
 * SQLite's messages about rows that a healthy database may hold: they were written before the rule existed, or
 * around it.
 */
const brokenRule = /^(NULL value in|CHECK constraint failed in|(non-\w+|NUMERIC|TEXT) value in) /;

/**
 * SQLite's `quick_check` of the whole file, or table by table where some need functions or collations of the
 * application.
 */
export const quickCheck = (connection: Connection): FileCheck => check(connection, 'quick_check');

/** The same with `integrity_check`, which also compares indexes with their tables. */
export const fullCheck = (connection: Connection): FileCheck => check(connection, 'integrity_check');

function check(connection: Connection, pragma: 'quick_check' | 'integrity_check'): FileCheck {
  const whole = ask(connection, `PRAGMA main.${pragma}(${listedFaults})`);
  if (Array.isArray(whole)) return sorted(whole, []);
  const unchecked: string[] = [];
  const faults: string[] = [];
  for (const row of connection.all(`SELECT name FROM main.sqlite_schema WHERE type = 'table' ORDER BY name`)) {
    const name = String(row.name);
    const found = ask(connection, `PRAGMA main.${pragma}(${quoteName(name)})`);
    if (Array.isArray(found)) faults.push(...found);
    else unchecked.push(`table ${name} (${found})`);
  }
  return sorted(faults, unchecked);
}

/** @returns the faults, or why SQLite cannot search for them */
function ask(connection: Connection, pragma: string): string[] | string {
  try {
    const lines = connection.all(pragma).map((row) => String(Object.values(row)[0]));
    return lines.filter((line) => line !== 'ok');
  } catch (error) {
    if (error instanceof BkpError) {
      if (error.code === 'SOURCE_DAMAGED') return [causeOf(error)];
      throw error;
    }
    return (error as Error).message;
  }
}

const causeOf = (error: BkpError) => (error.cause instanceof Error ? error.cause.message : error.message);

function sorted(faults: readonly string[], unchecked: readonly string[]): FileCheck {
  return {
    damage: faults.filter((fault) => !brokenRule.test(fault)),
    brokenRules: faults.filter((fault) => brokenRule.test(fault)),
    unchecked,
  };
}

const run = promisify(execFile);
const lines = v.array(text);
const checkSchema = v.object({damage: lines, brokenRules: lines, unchecked: lines});

/**
 * Checks a database file. A check that could not run is reported under `unchecked`.
 * @param small checks a file that is small enough for this process
 */
export async function checkDatabase(
  path: string,
  {sizeBytes, signal, small}: {sizeBytes: number; signal: AbortSignal; small: () => FileCheck},
): Promise<FileCheck> {
  if (sizeBytes < checkedHereBytes) return small();
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const script = fileURLToPath(new URL(`quick-check-process.${ending}`, import.meta.url));
  try {
    const {stdout} = await run(process.execPath, [script, path], {signal, killSignal: 'SIGKILL'});
    return parsedJson<FileCheck>(checkSchema, stdout, (why) => new Error(why));
  } catch (error) {
    signal.throwIfAborted();
    const [reason] = (error as Error).message.split('\n');
    return {damage: [], brokenRules: [], unchecked: [`the file (its check ended with: ${reason})`]};
  }
}
