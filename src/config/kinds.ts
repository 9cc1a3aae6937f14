import {absolutePath} from './addresses/absolute-path.ts';
import {hidden} from './addresses/credentials.ts';
import {type ObjectStore, readObjectStore, showObjectStore, storeText} from './addresses/object-store.ts';
import {acceptedSources, describeSource, parseSource} from './addresses/source.ts';
import {type NotifyTarget, readTarget, readUrl} from './notify-target.ts';
import {describeRate, readRate} from './rate.ts';

export type Value = string | number | boolean | ObjectStore | NotifyTarget;

/** What values a setting takes. `write` and `show` are methods, so that a kind of some values is a `Kind<Value>`. */
export type Kind<Of extends Value> = {
  /** In words, to follow "accepted: ". */
  accepts: string;
  /**
   * @param cwd what a relative path starts from
   * @returns undefined when the text is not acceptable
   * @throws BkpError `USAGE` | `UNSUPPORTED` when more can be said than what is accepted
   */
  read: (text: string, cwd: string) => Of | undefined;
  /** The text that a profile keeps, secrets included, which reads back as the same value. Absent: `String(value)`. */
  write?(value: Of): string;
  /** For people and programs, without secrets. Absent: the value itself, or what `write` gives. */
  show?(value: Of): string;
};

export const source: Kind<string> = {
  accepts: `a database: ${acceptedSources}`,
  read: (text, cwd) => describeSource(parseSource(text, cwd)),
};

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

/** Kept as it is, and shown to nobody. */
export const secretText: Kind<string> = {
  accepts: 'a text that is not empty',
  read: (text) => (text.trim() === '' ? undefined : text.trimEnd()),
  show: () => hidden,
};

/**
 * A text whose grammar another room knows, and checks when it is used: what is wrong with it is in nobody's way
 * before.
 */
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

/** Bytes a second. */
export const rate: Kind<number> = {
  accepts: 'bytes a second, such as 10MB, 512KiB or 10000000',
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

/** What bkp does in any case. `false` would be a wish that nobody fulfils, so it is an error. */
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

export function oneOf<const Word extends string>(...words: readonly Word[]): Kind<Word> {
  return {
    accepts: words.join(' or '),
    read: (text) => words.find((word) => word === text.toLowerCase()),
  };
}
