import {mkdirSync, utimesSync} from 'node:fs';
import {createServer, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import {join} from 'node:path';

/** A small stand-in for QuestDB's `GET /exec`, for a recorded root. Its responses are copied from the real server. */
export class ExecStandIn {
  readonly #server: Server;
  readonly #root: string;
  /** Microseconds; undefined when no checkpoint is held. */
  held: number | undefined;
  /** When set, other values of `authorization` get status 401. */
  authorization: string | undefined;
  /** The error of CHECKPOINT CREATE; undefined: it succeeds. */
  refusal: string | undefined;
  /** Behaves as with http.security.readonly=true. */
  isReadOnly = false;
  /** The root and the tables that it reports. */
  ownRoot = '/srv/questdb';
  tables: {name: string; directoryName: string; sequencerTxn?: number}[] = [];
  /** Whether its checkpoints appear in the recorded root. */
  writesCheckpoint = true;
  /** How long CREATE takes after the checkpoint was written: the sync of the machine. */
  syncMs = 0;
  /** Awaited between finding the status of the checkpoint and sending it. */
  beforeStatus: () => Promise<void> = async () => {};
  /** Carries out CREATE, then cuts the connection instead of replying. */
  cutsCreate = false;
  readonly statements: string[] = [];

  private constructor(root: string) {
    this.#root = root;
    this.#server = createServer((request, response) => {
      const send = (status: number, body: unknown) => {
        response.writeHead(status, {'content-type': 'application/json'});
        response.end(typeof body === 'string' ? body : JSON.stringify(body));
      };
      if (this.authorization !== undefined && request.headers.authorization !== this.authorization) {
        send(401, 'Unauthorized');
        return;
      }
      const query = new URL(request.url!, 'http://localhost').searchParams.get('query') ?? '';
      this.statements.push(query);
      if (query === 'CHECKPOINT CREATE' && this.cutsCreate) {
        this.#create();
        response.destroy();
        return;
      }
      if (this.isReadOnly && query.startsWith('CHECKPOINT')) {
        send(403, {query, error: 'Write permission denied', position: 0});
        return;
      }
      const answer = this.#answer(query);
      const reply = () => send('error' in answer ? 400 : 200, {query, ...answer});
      if (query === 'CHECKPOINT CREATE') setTimeout(reply, this.syncMs);
      else if (query.includes('checkpoint_status()')) void this.beforeStatus().then(reply);
      else reply();
    });
  }

  static async start(root: string): Promise<ExecStandIn> {
    const standIn = new ExecStandIn(root);
    await new Promise<void>((done) => standIn.#server.listen(0, '127.0.0.1', done));
    return standIn;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }

  #answer(query: string): Record<string, unknown> {
    if (query === 'CHECKPOINT CREATE') {
      if (this.held !== undefined) return {error: 'Waiting for CHECKPOINT RELEASE to be called', position: 0};
      if (this.refusal !== undefined) return {error: this.refusal, position: 0};
      this.#create();
      return {ddl: 'OK'};
    }
    if (query === 'CHECKPOINT RELEASE') {
      this.held = undefined;
      return {ddl: 'OK'};
    }
    if (query.includes('checkpoint_status()')) {
      const columns = [{name: 'in_progress'}, {name: 'started_at'}, {name: 'now'}];
      const row = [this.held !== undefined, this.held === undefined ? null : text(this.held), text(Date.now() * 1000)];
      return {columns, dataset: [row], count: 1};
    }
    if (query.includes('build()')) {
      const build = 'Build Information: QuestDB 9.3.4, JDK 24.0.2, Commit Hash 9ea3321';
      return {columns: [{name: 'build'}], dataset: [[build]], count: 1};
    }
    if (query.includes('SHOW PARAMETERS')) {
      const columns = [{name: 'property_path'}, {name: 'value'}, {name: 'value_source'}];
      const readOnly = this.isReadOnly ? [['http.security.readonly', 'true', 'env']] : [];
      const root = [['cairo.sql.copy.work.root', `${this.ownRoot}/tmp`, 'default']];
      return {columns, dataset: query.includes('readonly') ? readOnly : root, count: 1};
    }
    if (query.includes('wal_tables()')) {
      const columns = [{name: 'name'}, {name: 'sequencerTxn'}];
      return {columns, dataset: this.tables.map(({name, sequencerTxn}) => [name, sequencerTxn ?? null])};
    }
    if (query.includes('tables()')) {
      const columns = [{name: 'directoryName'}, {name: 'name'}];
      return {columns, dataset: this.tables.map(({name, directoryName}) => [directoryName, name])};
    }
    return {error: `unexpected statement: ${query}`, position: 0};
  }

  #create(): void {
    this.held = Date.now() * 1000;
    if (!this.writesCheckpoint) return;
    mkdirSync(join(this.#root, '.checkpoint/db'), {recursive: true});
    const now = new Date();
    utimesSync(join(this.#root, '.checkpoint/db/_checkpoint_meta.d'), now, now);
  }
}

function text(micros: number): string {
  return `${new Date(Math.floor(micros / 1000)).toISOString().slice(0, -1)}${String(micros % 1000).padStart(3, '0')}Z`;
}
