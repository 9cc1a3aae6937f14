import {Connection} from '../engine/connection.ts';
import {RawFile} from '../engine/raw-file.ts';

/** Open connections and files, closed in the only correct order: what uses them, connections, files. */
export class Opened {
  readonly #connections: Connection[] = [];
  readonly #files: RawFile[] = [];
  readonly #uses: {stop: () => void}[] = [];

  connect(path: string): Connection {
    const connection = new Connection(path);
    this.#connections.push(connection);
    return connection;
  }

  file(path: string): RawFile {
    const file = new RawFile(path);
    this.#files.push(file);
    return file;
  }

  /** Stopped before anything is closed. */
  uses<Use extends {stop: () => void}>(use: Use): Use {
    this.#uses.push(use);
    return use;
  }

  close(): void {
    for (const use of this.#uses.splice(0)) use.stop();
    for (const connection of this.#connections.splice(0)) connection.close();
    for (const file of this.#files.splice(0)) file.close();
  }
}
