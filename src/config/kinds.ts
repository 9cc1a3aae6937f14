import {absolutePath, describeSource, parseSource} from './source.ts';

/** What values a setting takes. A value is stored and shown as `String(value)`, which reads back as the same value. */
export type Kind<Value extends string | number | boolean> = {
  /** In words, to follow "accepted: ". */
  accepts: string;
  /**
   * @param cwd what a relative path starts from
   * @returns undefined when the text is not acceptable
   * @throws BkpError `USAGE` | `UNSUPPORTED` when more can be said than what is accepted
   */
  read: (text: string, cwd: string) => Value | undefined;
};

export const source: Kind<string> = {
  accepts: 'a database: sqlite::path=./app.db, or simply ./app.db',
  read: (text, cwd) => describeSource(parseSource(text, cwd)),
};

/** @param key for the message */
export function directory(key: string): Kind<string> {
  return {
    accepts: 'the path of a directory',
    read: (text, cwd) => (text.trim() === '' ? undefined : absolutePath(text, cwd, key)),
  };
}

export const yesNo: Kind<boolean> = {
  accepts: 'true or false',
  read: (text) => (/^(true|false)$/i.test(text) ? text.toLowerCase() === 'true' : undefined),
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
