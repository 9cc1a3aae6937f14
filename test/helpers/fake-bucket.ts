import {createHash} from 'node:crypto';

/** One version of an object, or a delete marker. */
export type FakeVersion = {
  body: Buffer;
  etag: string;
  modifiedAtMs: number;
  versionId: string;
  marker: boolean;
  /** Base64, as sent by the client. */
  crc32?: string;
  lockMode?: string;
  retainUntilMs?: number;
};

/** The content of a bucket: for each key its versions, newest last; only one without versioning. */
export class FakeBucket {
  readonly #versions = new Map<string, FakeVersion[]>();
  readonly #versioned: boolean;
  #made = 0;

  constructor(versioned: boolean) {
    this.#versioned = versioned;
  }

  /** The current version of the object. */
  get(key: string): FakeVersion | undefined {
    const newest = this.versions(key).at(-1);
    return newest?.marker ? undefined : newest;
  }

  versions(key: string): readonly FakeVersion[] {
    return this.#versions.get(key) ?? [];
  }

  /** Sorted as in S3, by the bytes of their UTF-8. */
  keys(): string[] {
    const present = [...this.#versions.keys()].filter((key) => this.get(key) !== undefined);
    return present.sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  }

  put(key: string, body: Buffer, more: Partial<FakeVersion> = {}): FakeVersion {
    return this.#add(key, {body, etag: createHash('md5').update(body).digest('hex'), ...more});
  }

  /** Hides the object behind a marker in a bucket with versions, otherwise removes it. */
  delete(key: string): void {
    if (!this.#versioned) this.#versions.delete(key);
    else if (this.get(key) !== undefined) this.#add(key, {marker: true});
  }

  #add(key: string, facts: Partial<FakeVersion>): FakeVersion {
    const version: FakeVersion = {
      body: Buffer.alloc(0),
      etag: '',
      modifiedAtMs: Date.now(),
      versionId: `v${++this.#made}`,
      marker: false,
      ...facts,
    };
    this.#versions.set(key, this.#versioned ? [...this.versions(key), version] : [version]);
    return version;
  }
}
