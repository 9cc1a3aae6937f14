import {closeSync, openSync, writeSync} from 'node:fs';
import {dirname} from 'node:path';
import {makeFolderSync} from '../lib/files.ts';
import {requirePlainFile} from '../lib/plain-file.ts';

/** Opens an operation's log for appending; only the user can read folder and file. @throws NotAFile */
export function openLogFile(file: string): number {
  makeFolderSync(dirname(file), 0o700);
  requirePlainFile(file);
  return openSync(file, 'a', 0o600);
}

export type OperationLog = {
  /** Writes lines, each with the time. Never fails: a full disk here must not end a backup to another disk. */
  write(text: string): void;
  close(): void;
};

export function openLog(file: string, nowMicros: () => number): OperationLog {
  const descriptor = attempt(() => openLogFile(file));
  if (descriptor === undefined) return {write: () => {}, close: () => {}};
  return {
    write(text) {
      const time = new Date(nowMicros() / 1000).toISOString();
      const lines = text.trimEnd().split('\n');
      attempt(() => writeSync(descriptor, lines.map((line) => `${time} ${line}\n`).join('')));
    },
    close: () => attempt(() => closeSync(descriptor)),
  };
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
