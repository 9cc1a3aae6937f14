import type {Key} from '../../stores/index.ts';
import type {CacheFile} from '../indexes/cache-file.ts';

/**
 * Which manifest this home committed last, by the folder of the backups. With it, a backup lists the newest backups and
 * not all of them.
 */
export class LastCommits {
  readonly #file: CacheFile;

  constructor(file: CacheFile) {
    this.#file = file;
  }

  note(manifest: Key): void {
    this.#file.change(() => {
      this.#file.run('INSERT OR REPLACE INTO last_commits VALUES (?, ?)', folderAbove(manifest), manifest);
    });
  }

  /** @param prefix ends in `/` */
  in(prefix: string): Key | undefined {
    const [found] = this.#file.all('SELECT manifest FROM last_commits WHERE prefix = ?', [prefix], (row) => row);
    const manifest = found?.manifest;
    // A file with flipped bits may return another row.
    return typeof manifest === 'string' && folderAbove(manifest) === prefix ? manifest : undefined;
  }
}

/** `a/b/` of `a/b/backup/manifest`. */
function folderAbove(manifest: Key): string {
  const folder = manifest.slice(0, manifest.lastIndexOf('/'));
  return folder.slice(0, folder.lastIndexOf('/') + 1);
}
