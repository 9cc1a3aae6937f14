import type {DatabaseMoment, FileSource, FreezeOptions, Frozen, FrozenFile} from '../../file-source.ts';
import {type Origin, originOf} from '../../origin.ts';
import {knownTableNames} from '../catalog/catalog.ts';
import {withConnection} from '../engine/connection.ts';
import {otherNames} from '../engine/other-names.ts';
import {writersWait} from '../engine/writers-wait.ts';
import {type Image, openImage, type Reading} from '../image/image.ts';
import {identityOf, isIdentityKept, keepIdentity} from '../tracking/identity.ts';
import {checkDatabase, quickCheck} from './quick-check.ts';

/** The one file of a backup, whatever the path of the database. */
export const sqliteFilePath = 'main.db';

/** The largest page size, so no page is split between blocks. */
const blockBytes = 64 * 1024;

/** An SQLite database as one file of pages, including its log, consistent while other processes write. */
export class SqliteFileSource implements FileSource {
  readonly description: string;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    this.description = `sqlite::path=${path}`;
  }

  /** The identity next to the tracking tables; the first call writes it into the database, where it is kept. */
  async dataId(): Promise<string> {
    return withConnection(this.#path, {}, (connection) => {
      const known = identityOf(connection);
      if (known !== undefined && isIdentityKept(connection)) return known;
      try {
        connection.write(() => keepIdentity(connection));
      } catch (error) {
        // An older bkp created it, and this user may only read.
        if (known === undefined) throw error;
        return known;
      }
      return identityOf(connection)!;
    });
  }

  origin(): Origin | undefined {
    return originOf(this.#path);
  }

  async freeze(options: FreezeOptions): Promise<Frozen> {
    const reading = await openImage(this.#path, options);
    try {
      if (reading.mode !== 'wal') options.notice(writersWait);
      const names = otherNames(this.#path);
      if (names !== undefined) options.notice(names);
      await reading.image.files();
      return frozen(reading, this.#path, options.nowMicros);
    } catch (error) {
      reading.close();
      throw error;
    }
  }

  /** A dead process holds no locks, so nothing is left over. */
  async releaseLeftover(): Promise<void> {}

  async close(): Promise<void> {}
}

function frozen(reading: Reading & {image: Image}, path: string, nowMicros: () => number): Frozen {
  const {connection, image} = reading;
  const facts: DatabaseMoment = {
    product: 'sqlite',
    version: String(connection.value('SELECT sqlite_version()')),
    tables: knownTableNames(connection).map((name) => ({name})),
  };
  const file: FrozenFile = {
    path: sqliteFilePath,
    sizeBytes: image.pages * image.pageBytes,
    zeroTailBytes: 0,
    // No stamp: neither the time nor the size nor the header of a database proves that its pages are unchanged.
    blockBytes,
  };
  return {
    takenAtMicros: Math.floor(nowMicros()),
    facts,
    async *files() {
      yield file;
    },
    read: () => image.read(blockBytes),
    check: ({signal}) => checkDatabase(path, {sizeBytes: file.sizeBytes, signal, small: () => quickCheck(connection)}),
    confirm: reading.confirm,
    release: async () => reading.close(),
  };
}
