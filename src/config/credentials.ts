import {inspect} from 'node:util';

/** What signs requests to an S3 server. Secret, all of it. */
export type Credentials = {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
};

/** What stands where a secret would. */
export const hidden = '***';

/**
 * Credentials that no log, JSON, error or `console.log` shows by accident: only who asks for a field by its name gets it.
 * A copy by `{...credentials}` is therefore empty.
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
