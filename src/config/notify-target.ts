import {inspect} from 'node:util';
import {BkpError} from '../errors/index.ts';
import {hidden} from './addresses/credentials.ts';

/**
 * Who is told how an operation ended. Both forms may hold a token, so no log, JSON, error or `console.log` shows one by
 * accident: only who asks with `reveal()` gets the text.
 */
export type NotifyTarget = {
  readonly kind: 'webhook' | 'command';
  /** What may be shown: `https://hooks.example.org/***`, `/usr/local/bin/tell ***`. */
  readonly shown: string;
  /** The text as it was typed: an http(s) URL, or a command line for the shell. */
  reveal(): string;
};

class HiddenTarget implements NotifyTarget {
  readonly kind: 'webhook' | 'command';
  readonly shown: string;
  readonly #text: string;

  constructor(kind: NotifyTarget['kind'], shown: string, text: string) {
    this.kind = kind;
    this.shown = shown;
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toJSON(): string {
    return this.shown;
  }

  toString(): string {
    return this.shown;
  }

  [inspect.custom](): string {
    return `NotifyTarget(${this.shown})`;
  }
}

/**
 * An http(s) URL is a webhook, anything else a command line.
 * @returns undefined for a blank text
 * @throws BkpError `USAGE` for what begins as a URL and is none; its message repeats nothing of the text
 */
export function readTarget(text: string): NotifyTarget | undefined {
  const typed = text.trim();
  if (typed === '' || typed.includes('\0')) return undefined;
  return /^https?:/i.test(typed) ? webhook(typed) : new HiddenTarget('command', shownCommand(typed), typed);
}

/** As {@link readTarget}, and a URL alone will do. */
export function readUrl(text: string): NotifyTarget | undefined {
  return /^https?:/i.test(text.trim()) ? webhook(text.trim()) : undefined;
}

function webhook(text: string): NotifyTarget {
  const url = /\s/.test(text) || !/^https?:\/\//i.test(text) ? null : URL.parse(text);
  if (url === null) {
    throw new BkpError('USAGE', 'a URL to be called begins with http:// or https:// and is not a whole URL', {
      next: 'write it as https://host/path, without blanks; a blank in it is %20',
    });
  }
  const {protocol, host, pathname, search, username, password} = url;
  const hides = pathname !== '/' || search !== '' || username !== '' || password !== '';
  return new HiddenTarget('webhook', `${protocol}//${host}${hides ? `/${hidden}` : ''}`, text);
}

/** The program, if the line begins with a plain one; whatever follows may be a secret, as may `TOKEN=… program`. */
function shownCommand(line: string): string {
  const [, program, rest] = /^([\w./+-]+)(?:\s+(.*))?$/s.exec(line) ?? [];
  if (program === undefined) return hidden;
  return rest === undefined ? program : `${program} ${hidden}`;
}
