import {stat} from 'node:fs/promises';
import {join} from 'node:path';
import {BkpError} from '../../errors/index.ts';
import type {CheckpointSource, FreezeOptions, Frozen, HeldCheckpoint} from '../file-source.ts';
import {type Origin, originOf} from '../origin.ts';
import type {SourceCheck} from '../source.ts';
import {isAbsent, unreadable} from './format/bytes.ts';
import {readDataId} from './format/data-id.ts';
import {freezeLive} from './listing/live.ts';
import {freezeStopped} from './listing/offline.ts';
import {createForOthers} from './server/checkpoint.ts';
import {isOfNote, readHoldNote} from './server/hold-note.ts';
import {fateOf, type Processes} from './server/holder.ts';
import {QuestDbHttp, serverVersion} from './server/http.ts';
import {releaseAny, releaseDead, releaseLeftover} from './server/leftovers.ts';
import {whyNotOwnRoot} from './server/own-root.ts';
import {checkpointStatus} from './server/status.ts';

export type QuestDbSourceOptions = {
  /** Absolute: the folder with `conf` and `db`. */
  root: string;
  /** URL of the REST interface; default `http://127.0.0.1:9000`. */
  http?: string | undefined;
  user?: string | undefined;
  password?: string | undefined;
  token?: string | undefined;
  /** The server is stopped. Default false. */
  offline?: boolean;
};

const defaultHttp = 'http://127.0.0.1:9000';

/** A QuestDB root, read while its server holds a checkpoint, or while its server is stopped. */
export class QuestDbSource implements CheckpointSource {
  readonly description: string;
  readonly #root: string;
  readonly #offline: boolean;
  /** Absent for a stopped server without an address. */
  readonly #http: QuestDbHttp | undefined;
  readonly #processes: Processes | undefined;

  /** @param processes absent: bkp cannot find out whether the process that holds a checkpoint has ended */
  constructor(options: QuestDbSourceOptions, processes?: Processes) {
    this.#processes = processes;
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

  origin(): Origin | undefined {
    return originOf(this.#root);
  }

  async freeze(options: FreezeOptions): Promise<Frozen> {
    await this.#requireRoot();
    options.signal.throwIfAborted();
    if (this.#offline) return freezeStopped(this.#root, this.#http, options.nowMicros);
    return freezeLive(this.#server(), this.#root, options, this.#processes);
  }

  async releaseLeftover(diedAfterMicros: number, hold?: string): Promise<void> {
    if (this.#offline) return;
    await releaseLeftover(this.#server(), this.#root, {diedAfterMicros, hold}, this.#processes);
  }

  async releaseDead(): Promise<string | undefined> {
    return this.#offline ? undefined : releaseDead(this.#server(), this.#root, this.#processes);
  }

  async createCheckpoint(): Promise<void> {
    await createForOthers(this.#running(), this.#root, this.#processes);
  }

  async releaseCheckpoint(): Promise<void> {
    await releaseAny(this.#running(), this.#root, this.#processes);
  }

  async inspect(): Promise<readonly SourceCheck[]> {
    const found = {what: 'questdb', ok: true, detail: `${this.description}, data id ${await this.dataId()}`};
    const next = 'set root= and http= of the source to the same server, one that allows writes';
    return [found, ...(await this.#complaints()).map((detail) => ({what: 'server', ok: false, detail, next}))];
  }

  /** Why a backup would not start. */
  async #complaints(): Promise<readonly string[]> {
    if (this.#offline) return [];
    const http = this.#server();
    const other = await whyNotOwnRoot(http, this.#root);
    const readOnly = await http.rows(
      "(SHOW PARAMETERS) WHERE property_path IN ('readonly', 'http.security.readonly') AND value = 'true'",
    );
    return [
      ...(other === undefined ? [] : [`${this.#root} is not the root of the server at ${http.url}: ${other}`]),
      ...readOnly.map(({property_path}) => `the server refuses checkpoints, because ${property_path} is true`),
    ];
  }

  async heldCheckpoint(): Promise<HeldCheckpoint | undefined> {
    if (this.#offline) return undefined;
    const {startedAtMicros} = await checkpointStatus(this.#server());
    if (startedAtMicros === undefined) return undefined;
    const note = await readHoldNote(this.#root);
    if (note === undefined || !isOfNote(startedAtMicros, note)) return {startedAtMicros};
    const fate = fateOf(note.holder, this.#processes);
    return {startedAtMicros, hold: note.hold, fate, host: note.holder?.host};
  }

  async version(): Promise<string | undefined> {
    return this.#http === undefined ? undefined : serverVersion(this.#http).catch(() => undefined);
  }

  async close(): Promise<void> {
    // No connection and no file stays open between calls.
  }

  #running(): QuestDbHttp {
    if (!this.#offline) return this.#server();
    throw new BkpError('PRECONDITION', 'a stopped server has no checkpoint', {
      next: 'remove offline=true from the source when the server is running',
    });
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
    throw new BkpError('SOURCE_UNAVAILABLE', `${this.#root} is not the root of a QuestDB: it has no folder db`, {
      next: 'set root= of the source to the folder that contains conf and db',
    });
  }
}
