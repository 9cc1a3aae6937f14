import {inspect} from 'node:util';
import {BkpError} from '../errors/index.ts';
import {hidden} from './addresses/credentials.ts';

/**
 * What is notified when an operation ends. Both kinds may contain a token, so logs, JSON, errors and `console.log` do
 * not show the text: only `reveal()` returns it.
 */
export type NotifyTarget = {
  readonly kind: 'webhook' | 'command';
  /** Without secrets: `https://hooks.example.org/***`, `/usr/local/bin/tell ***`. */
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
 * @throws BkpError `USAGE` for an invalid text that begins like a URL; its message does not repeat the text
 */
export function readTarget(text: string): NotifyTarget | undefined {
  const typed = text.trim();
  if (typed === '' || typed.includes('\0')) return undefined;
  return /^https?:/i.test(typed) ? webhook(typed) : new HiddenTarget('command', shownCommand(typed), typed);
}

/** Like {@link readTarget}, but accepts only a URL. */
export function readUrl(text: string): NotifyTarget | undefined {
  return /^https?:/i.test(text.trim()) ? webhook(text.trim()) : undefined;
}

function webhook(text: string): NotifyTarget {
  const url = /\s/.test(text) || !/^https?:\/\//i.test(text) ? null : URL.parse(text);
  if (url === null) {
    throw new BkpError('USAGE', 'the text begins like a URL, but is not a valid http or https URL', {
      next: 'write it as https://host/path, without spaces; write a space in it as %20',
    });
  }
  const {protocol, host, pathname, search, username, password} = url;
  const hides = pathname !== '/' || search !== '' || username !== '' || password !== '';
  return new HiddenTarget('webhook', `${protocol}//${host}${hides ? `/${hidden}` : ''}`, text);
}

/**
 * The program, if the line begins with a plain name. The rest may be a secret, and so may the start of `TOKEN=…
 * program`.
 */
function shownCommand(line: string): string {
  const [, program, rest] = /^([\w./+-]+)(?:\s+(.*))?$/s.exec(line) ?? [];
  if (program === undefined) return hidden;
  return rest === undefined ? program : `${program} ${hidden}`;
}
