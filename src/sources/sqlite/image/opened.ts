import {Connection} from '../engine/connection.ts';
import {RawFile} from '../engine/raw-file.ts';

/** Open connections and files, closed in the only correct order: connections first. */
export class Opened {
  readonly #connections: Connection[] = [];
  readonly #files: RawFile[] = [];

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

  close(): void {
    for (const connection of this.#connections.splice(0)) connection.close();
    for (const file of this.#files.splice(0)) file.close();
  }
}
