import {stat} from 'node:fs/promises';
import {join} from 'node:path';
import {BkpError} from '../../errors/index.ts';
import type {FileSource, Frozen} from '../file-source.ts';
import {isAbsent, unreadable} from './bytes.ts';
import {checkpointStatus, isOfNote, releaseLeftover} from './checkpoint.ts';
import {readDataId} from './data-id.ts';
import {readHoldNote} from './hold-note.ts';
import {QuestDbHttp} from './http.ts';
import {freezeLive, serverVersion} from './live.ts';
import {freezeStopped} from './offline.ts';

export type QuestDbSourceOptions = {
  /** Absolute: the folder with `conf` and `db`. */
  root: string;
  /** Of its REST interface; `http://127.0.0.1:9000` when it is absent. */
  http?: string;
  user?: string;
  password?: string;
  token?: string;
  /** Of a server that is stopped. Default false. */
  offline?: boolean;
};

/** A checkpoint that is held now. */
export type HeldCheckpoint = {
  startedAtMicros: number;
  /** The operation of bkp that holds it; absent when it is not from bkp. */
  hold?: string;
};

const defaultHttp = 'http://127.0.0.1:9000';

/** A QuestDB root, read under a checkpoint of its server or while that is stopped. */
export class QuestDbSource implements FileSource {
  readonly description: string;
  readonly #root: string;
  readonly #offline: boolean;
  /** Absent for a stopped server of which no address was given. */
  readonly #http: QuestDbHttp | undefined;

  constructor(options: QuestDbSourceOptions) {
    this.#root = options.root;
    this.#offline = options.offline === true;
    const http = options.http ?? (this.#offline ? undefined : defaultHttp);
    this.#http = http === undefined ? undefined : new QuestDbHttp({...options, http});
    const settings = [`root=${options.root}`, ...(this.#http ? [`http=${this.#http.url}`] : [])];
    this.description = `questdb::${[...settings, ...(this.#offline ? ['offline=true'] : [])].join(';')}`;
  }

  async dataId(): Promise<string> {
    await this.#requireRoot();
    return readDataId(this.#root);
  }

  async freeze(options: {hold: string; signal: AbortSignal; notice: (text: string) => void}): Promise<Frozen> {
    await this.#requireRoot();
    options.signal.throwIfAborted();
    return this.#offline ? freezeStopped(this.#root, this.#http) : freezeLive(this.#server(), this.#root, options);
  }

  async releaseLeftover(diedAfterMicros: number): Promise<void> {
    if (!this.#offline) await releaseLeftover(this.#server(), this.#root, diedAfterMicros);
  }

  /** For `checkpoint_status()` and for a doctor. @throws BkpError `SOURCE_UNAVAILABLE` */
  async heldCheckpoint(): Promise<HeldCheckpoint | undefined> {
    if (this.#offline) return undefined;
    const {startedAtMicros} = await checkpointStatus(this.#server());
    if (startedAtMicros === undefined) return undefined;
    const note = await readHoldNote(this.#root);
    return {startedAtMicros, ...(note !== undefined && isOfNote(startedAtMicros, note) ? {hold: note.hold} : {})};
  }

  /** @returns undefined for a stopped server, and one that does not answer */
  async version(): Promise<string | undefined> {
    return this.#http === undefined ? undefined : serverVersion(this.#http).catch(() => undefined);
  }

  async close(): Promise<void> {
    // Nothing is kept open.
  }

  #server(): QuestDbHttp {
    if (this.#http === undefined) throw new Error('an offline source has no server');
    return this.#http;
  }

  async #requireRoot(): Promise<void> {
    const found = await stat(join(this.#root, 'db')).catch((error: unknown) => {
      if (isAbsent(error)) return undefined;
      throw unreadable(error, join(this.#root, 'db'));
    });
    if (found?.isDirectory()) return;
    throw new BkpError('SOURCE_UNAVAILABLE', `${this.#root} is no root of a QuestDB: there is no folder db in it`, {
      next: 'set root= of the source to the folder that holds its conf and db',
    });
  }
}
