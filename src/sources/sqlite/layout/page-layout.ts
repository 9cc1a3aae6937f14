/** A tree to be written: how many records it has, and where SQLite put its empty root. */
export type LayoutTree = {
  /** Of the table or of the index. */
  name: string;
  kind: 'rowid' | 'key';
  /** Its root page. */
  root: number;
  records: number;
};

export type LayoutOptions = {
  /** That fill and write leaves. */
  threads: number;
  /** Let the disk work while pages are written, so that the sync at the end is short. Default true. */
  syncEarly?: boolean | undefined;
};

/**
 * Writes trees into a database file that SQLite created, with their empty roots, and has closed. SQLite must not open
 * the file before `finish` has resolved.
 */
export class PageLayout {
  /** @throws Error of the file system */
  static async open(_path: string, _options: LayoutOptions): Promise<PageLayout> {
    return new PageLayout();
  }

  /**
   * Resolves when all chunks have been taken over, so that the next tree can follow while threads work.
   * @param chunks the tree's records in order; a chunk's memory is read only until the next one is asked for
   * @throws NotRecords or an error of the file system, maybe about an earlier tree
   */
  async addTree(_tree: LayoutTree, _chunks: AsyncIterable<Uint8Array>): Promise<void> {
    throw new Error('not implemented');
  }

  /**
   * Waits for all trees, and writes what is left: inner pages, pointer maps, the header.
   * @returns the pages that the file has now
   * @throws NotRecords or an error of the file system
   */
  async finish(): Promise<{pages: number}> {
    throw new Error('not implemented');
  }

  /** Ends the threads and closes the file. Safe to call at any time, and more than once. */
  async close(): Promise<void> {}
}
