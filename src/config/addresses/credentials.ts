import {inspect} from 'node:util';

/** What signs requests to an S3 server. All of it is secret. */
export type Credentials = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
};

/** Shown in place of a secret. */
export const hidden = '***';

/**
 * Credentials that logs, JSON, errors and `console.log` do not show: only reading a field by its name returns it.
 * Consequently, `{...credentials}` is empty.
 */
class HiddenCredentials {
  readonly #fields: Credentials;

  constructor(fields: Credentials) {
    this.#fields = fields;
  }

  get accessKeyId(): string {
    return this.#fields.accessKeyId;
  }

  get secretAccessKey(): string {
    return this.#fields.secretAccessKey;
  }

  get sessionToken(): string | undefined {
    return this.#fields.sessionToken;
  }

  toJSON(): string {
    return hidden;
  }

  toString(): string {
    return hidden;
  }

  [inspect.custom](): string {
    return `Credentials(${hidden})`;
  }
}

export function hideCredentials(fields: Credentials): Credentials {
  return new HiddenCredentials(fields) as Credentials;
}
