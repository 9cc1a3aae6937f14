import {periodText, readPeriod} from '../lib/period.ts';
import {isOfKit} from '../lib/vault-secrets.ts';
import {absolutePath} from './addresses/absolute-path.ts';
import {hidden} from './addresses/credentials.ts';
import {type ObjectStore, readObjectStore, showObjectStore, storeText} from './addresses/object-store.ts';
import {acceptedSources, describeSource, parseSource} from './addresses/source.ts';
import {type NotifyTarget, readTarget, readUrl} from './notify-target.ts';
import {describeRate, readRate} from './rate.ts';

export type Value = string | number | boolean | ObjectStore | NotifyTarget;

/** The values that a setting accepts. `write` and `show` are methods, so that every kind is a `Kind<Value>`. */
export type Kind<Of extends Value> = {
  /** In words, to follow "accepted: ". */
  accepts: string;
  /**
   * @param cwd the directory that a relative path starts from
   * @returns undefined when the text is not accepted
   * @throws BkpError `USAGE` | `UNSUPPORTED` when there is a more specific message than what is accepted
   */
  read: (text: string, cwd: string) => Of | undefined;
  /** True: blanks at the ends of the value are a part of it, also in a file. */
  isExact?: true;
  /** The text that a profile stores, secrets included; it reads back as the same value. Absent: `String(value)`. */
  write?(value: Of): string;
  /** For people and programs, without secrets. Absent: the text of `write`, or the value itself. */
  show?(value: Of): string;
};

export const source: Kind<string> = {
  accepts: `a database: ${acceptedSources}`,
  read: (text, cwd) => describeSource(parseSource(text, cwd)),
};

/** @param key for the message */
export function filePath(key: string): Kind<string> {
  return {...directory(key), accepts: 'the path of a file'};
}

/** @param key for the message */
export function directory(key: string): Kind<string> {
  return {
    accepts: 'the path of a directory',
    read: (text, cwd) => (text.trim() === '' ? undefined : absolutePath(text, cwd, key)),
  };
}

export const objectStore: Kind<ObjectStore> = {
  accepts: 's3::bucket=NAME;root=PREFIX, s3://NAME/PREFIX, or fs::root=DIR',
  read: readObjectStore,
  write: storeText,
  show: showObjectStore,
};

/** Stored as it is, and never shown. */
export const secretText: Kind<string> = {
  accepts: 'a non-empty text',
  read: (text) => (text.trim() === '' ? undefined : text.trimEnd()),
  show: () => hidden,
};

/** As {@link secretText}, with blanks at its ends; from a file without the newline at its end only. */
export const vaultSecret: Kind<string> = {
  accepts: 'one line that is not empty, or a recovery kit',
  read: (text) => (isOfKit(text) || /^[^\r\n\0]+$/.test(text) ? text : undefined),
  isExact: true,
  show: () => hidden,
};

/** A text whose syntax is checked by the code that uses it: an invalid value does not block other commands. */
export function wording(accepts: string): Kind<string> {
  return {accepts, read: (text) => (text.trim() === '' ? undefined : text.trim())};
}

const revealed = {
  write: (target: NotifyTarget) => target.reveal(),
  show: (target: NotifyTarget) => target.shown,
};

export const notifyTarget: Kind<NotifyTarget> = {
  accepts: 'a command line, or an http or https URL',
  read: readTarget,
  ...revealed,
};

export const url: Kind<NotifyTarget> = {accepts: 'an http or https URL', read: readUrl, ...revealed};

/** Bytes per second. */
export const rate: Kind<number> = {
  accepts: 'bytes per second, such as 10MB, 512KiB or 10000000',
  read: readRate,
  write: describeRate,
};

export const days: Kind<number> = {
  accepts: 'a number of days from 1d to 36500d',
  // AWS takes up to 36,500 days: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DefaultRetention.html
  read: (text) =>
    /^[1-9]\d{0,4}d$/.test(text) && Number.parseInt(text, 10) <= 36_500 ? Number.parseInt(text, 10) : undefined,
  write: (value) => `${value}d`,
};

export const yesNo: Kind<boolean> = {
  accepts: 'true or false',
  read: (text) => (/^(true|false)$/i.test(text) ? text.toLowerCase() === 'true' : undefined),
};

/** Something that bkp always does: `false` is an error, because it would have no effect. */
export const alwaysOn: Kind<true> = {
  accepts: 'true: hashes cannot be switched off',
  read: (text) => (text.toLowerCase() === 'true' ? true : undefined),
};

export function integer(from: number, to: number): Kind<number> {
  return {
    accepts: `a whole number from ${from} to ${to}`,
    read: (text) => (/^\d{1,9}$/.test(text) && Number(text) >= from && Number(text) <= to ? Number(text) : undefined),
  };
}

/** Stored as it is read back: `3 days`. */
export const period: Kind<string> = {
  accepts: '3 days, or another sum of hours, days, weeks, months and years',
  read: (text) => {
    const found = readPeriod(text.trim());
    return found && periodText(found);
  },
};

export function oneOf<const Word extends string>(...words: readonly Word[]): Kind<Word> {
  return {
    accepts: words.join(' or '),
    read: (text) => words.find((word) => word === text.toLowerCase()),
  };
}
