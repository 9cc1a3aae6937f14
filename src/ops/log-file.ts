import {closeSync, mkdirSync, openSync, writeSync} from 'node:fs';
import {dirname} from 'node:path';

/** Opens an operation's log for appending; folder and file are the user's own. */
export function openLogFile(file: string): number {
  mkdirSync(dirname(file), {recursive: true, mode: 0o700});
  return openSync(file, 'a', 0o600);
}

export type OperationLog = {
  /** One line, or several, each with the time in front. Never fails: a full disk must not end a backup to another one. */
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
