import {BkpError} from '../errors/index.ts';
import {type Operation, type OperationKind, type OperationNumber, operationKinds} from './operation.ts';

const nouns: Record<OperationKind, string> = {
  cleanup: 'Cleanup',
  copy: 'Copy',
  dbbackup: 'Database backup',
  dbrestore: 'Database restore',
  fullbackup: 'Full backup',
  incbackup: 'Incremental backup',
  reencrypt: 'Re-encryption',
  restore: 'Restore',
  verify: 'Verification',
};

/** @returns the kind in words, capitalised: `Full backup`; without a kind `Operation` */
export function kindNoun(kind: OperationKind | undefined): string {
  return kind === undefined ? 'Operation' : nouns[kind];
}

const makesBackup: Record<OperationKind, boolean> = {
  cleanup: false,
  copy: false,
  dbbackup: true,
  dbrestore: false,
  fullbackup: true,
  incbackup: true,
  reencrypt: false,
  restore: false,
  verify: false,
};

/** Whether an operation of this kind takes a new backup of a database. */
export function isBackupKind(kind: OperationKind): boolean {
  return makesBackup[kind];
}

/** Whether users wait for an operation of this kind, because a database is missing or wrong. */
export function isUrgentKind(kind: OperationKind): boolean {
  return kind === 'restore' || kind === 'dbrestore';
}

/** @returns the id that users see and type: `fullbackup/1` */
export function operationId(operation: Pick<Operation, 'kind' | 'number'>): string {
  return `${operation.kind}/${operation.number}`;
}

/**
 * @returns the kinds that a kind word stands for: `incbackup` means every backup of a collection, because YDB lists
 *   full backups under that word too; every other word means itself
 */
export function kindsUnder(word: OperationKind): readonly OperationKind[] {
  return word === 'incbackup' ? ['fullbackup', 'incbackup'] : [word];
}

/** @throws BkpError `USAGE` naming all kinds */
export function parseKind(text: string): OperationKind {
  const kind = operationKinds.find((known) => known === text);
  if (kind === undefined) throw new BkpError('USAGE', `Invalid kind. Use one of: ${operationKinds.join(', ')}`);
  return kind;
}

/** What a user typed to name an operation; without `kind` if only a number was given. */
export type OperationRef = {number: OperationNumber; kind?: OperationKind} | {last: true};

/** YDB's ids contain the kind as a number. Source: YDB's public operation ids, `ydb://<word>/<kind>?id=<number>`. */
const kindsByForeignNumber: Readonly<Record<string, OperationKind>> = {
  '11': 'incbackup',
  '12': 'restore',
  '14': 'fullbackup',
};

/**
 * Reads `fullbackup/1`, `1`, `last`, and YDB's `ydb://fullbackup/14?id=1` (the number after the slash is the kind, the
 * word before it is ignored), percent-encoded or not.
 * @throws BkpError `USAGE` with the accepted forms
 */
export function parseOperationId(text: string): OperationRef {
  const plain = decoded(text);
  if (plain === 'last') return {last: true};
  const bare = numberIn(plain);
  if (bare !== undefined) return {number: bare};
  const ref = plain.startsWith('ydb://') ? foreign(plain) : ours(plain);
  if (ref !== undefined) return ref;
  throw new BkpError('USAGE', `Invalid operation ID: ${JSON.stringify(text)}`, {
    next: "type it as fullbackup/1, as 1, as last, or as 'ydb://fullbackup/14?id=1'; bkp operation list shows all ids",
  });
}

function ours(plain: string): OperationRef | undefined {
  const [word, digits, ...more] = plain.split('/');
  const kind = operationKinds.find((known) => known === word);
  const number = numberIn(digits ?? '');
  return kind === undefined || number === undefined || more.length > 0 ? undefined : {kind, number};
}

function foreign(plain: string): OperationRef | undefined {
  const parts = /^ydb:\/\/\w+\/(\d+)\?(.*)$/.exec(plain);
  const kind = kindsByForeignNumber[parts?.[1] ?? ''];
  const number = numberIn(new URLSearchParams(parts?.[2]).get('id') ?? '');
  return kind === undefined || number === undefined ? undefined : {kind, number};
}

function numberIn(text: string): OperationNumber | undefined {
  const number = Number(text);
  return /^\d+$/.test(text) && Number.isSafeInteger(number) ? (number as OperationNumber) : undefined;
}

/** A text that is not valid percent-encoding is returned unchanged, and then matches no form. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
