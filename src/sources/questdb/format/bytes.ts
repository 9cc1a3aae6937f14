import {readFileSync} from 'node:fs';
import {BkpError, systemCode} from '../../../errors/index.ts';

/**
 * A control file of QuestDB: little-endian numbers, some of which are the positions of others. Every read is checked
 * against the file's end: a position outside means a truncated file, or a layout that this bkp does not know.
 */
export class ControlFile {
  readonly path: string;
  readonly #bytes: Buffer;

  constructor(path: string, bytes: Buffer) {
    this.path = path;
    this.#bytes = bytes;
  }

  get sizeBytes(): number {
    return this.#bytes.length;
  }

  int32(at: number): number {
    return this.#need(at, 4).readInt32LE(at);
  }

  int64(at: number): bigint {
    return this.#need(at, 8).readBigInt64LE(at);
  }

  /** A count or a length. */
  count(at: number): number {
    const value = this.int64(at);
    if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.unknown(`${value} at ${at} is not a count`);
    return Number(value);
  }

  /** An int32, the number of UTF-16 units, and then the units. */
  text(at: number): {value: string; end: number} {
    const units = this.int32(at);
    // Names of tables and columns become names of files, which QuestDB limits to 127 characters by default.
    if (units < 0 || units > 4096) throw this.unknown(`a text of ${units} characters at ${at}`);
    const end = at + 4 + units * 2;
    return {value: this.#need(at + 4, units * 2).toString('utf16le', at + 4, end), end};
  }

  unknown(what: string): BkpError {
    return new BkpError('SOURCE_DAMAGED', `${this.path} is not in a format that QuestDB writes: ${what}`, {
      next: 'if the server reads this table, this bkp does not support the version of the server: please report it',
      context: {path: this.path},
    });
  }

  #need(at: number, length: number): Buffer {
    if (at < 0 || at + length > this.#bytes.length) throw this.unknown(`it ends before ${at + length}`);
    return this.#bytes;
  }
}

/** @returns undefined when there is no such file */
export function readControlFile(path: string): ControlFile | undefined {
  try {
    return new ControlFile(path, readFileSync(path));
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw unreadable(error, path);
  }
}

export const isAbsent = (error: unknown) => ['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '');

/**
 * Turns a system error into one of bkp's; returns any other error as it is.
 * @param table the table that the file belongs to, for the message
 */
export function unreadable(error: unknown, path: string, table?: string): unknown {
  if (error instanceof BkpError || systemCode(error) === undefined) return error;
  const owner = table === undefined ? '' : ` of table ${table}`;
  const denied = ['EACCES', 'EPERM'].includes(systemCode(error)!);
  return new BkpError('SOURCE_UNAVAILABLE', `${path}${owner} cannot be read`, {
    cause: error,
    next: denied
      ? 'run bkp as the user that the server runs as, or give this user the right to read'
      : 'check the disk',
    context: {path, table},
  });
}
