import {join} from 'node:path';
import {BkpError, didYouMean, systemCode} from '../../errors/index.ts';
import {readPlainFile} from '../../lib/plain-file.ts';
import {shellQuoted} from '../../lib/text.ts';

/** The settings of a file `_backup_restore` in the target, parsed as QuestDB does. */
export type RestoreFile = {
  /** A store, which may contain keys: never print it. */
  store?: string;
  instance?: string;
  timestamp?: string;
};

export const restoreFileName = '_backup_restore';

const keys = {
  'backup.object.store': 'store',
  'backup.instance.name': 'instance',
  'backup.restore.timestamp': 'timestamp',
} as const;

/** @returns undefined when there is no such file. @throws BkpError `USAGE`; its message never repeats a value */
export function readRestoreFile(root: string): RestoreFile | undefined {
  const file = join(root, restoreFileName);
  let text: string;
  try {
    text = readPlainFile(file);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined;
    throw new BkpError('USAGE', `${file} cannot be read`, {cause: error, next: `ls -l ${shellQuoted(file)}`});
  }
  const wishes: RestoreFile = {};
  for (const [at, line] of text.split('\n').entries()) {
    if (/^\s*([#!].*)?$/.test(line)) continue;
    const [, key = '', value = ''] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    const field = keys[key as keyof typeof keys];
    if (field === undefined) {
      const meant = didYouMean(key, Object.keys(keys));
      throw new BkpError('USAGE', `${file}, line ${at + 1}: the key is not one of ${Object.keys(keys).join(', ')}`, {
        next: meant === undefined ? 'correct the line, or put # in front of it' : `did you mean ${meant}?`,
      });
    }
    wishes[field] = value;
  }
  return wishes;
}
