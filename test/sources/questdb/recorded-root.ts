import {mkdirSync, readFileSync, truncateSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {gunzipSync} from 'node:zlib';

type Recorded = Record<string, {base64: string; zeros?: number}>;

/**
 * A root as QuestDB 9.3.4 wrote it under a checkpoint, reduced to what a copy needs: `trades` (WAL, three days, one
 * of them rewritten by late rows, one column updated, one added; all kinds of columns), `flat` (no WAL, no
 * partitions), `weekly` (nanoseconds, one partition in Parquet), the view `few`, and the server's own empty tables.
 */
const recorded: Recorded = JSON.parse(
  gunzipSync(readFileSync(join(import.meta.dirname, 'recorded-root.json.gz'))).toString('utf8'),
);

export const recordedPaths = Object.keys(recorded);

/** The bytes of a recorded file without the zeros at its end. */
export const recordedBytes = (path: string) => Buffer.from(recorded[path]!.base64, 'base64');

/** Length of a column file of a partition that the server has open. */
const preallocatedBytes = 1024 * 1024;

/** Writes the recorded root to a folder. Columns of open partitions get zeros at their end. */
export function writeRecordedRoot(root: string): void {
  for (const [path, {zeros = 0}] of Object.entries(recorded)) {
    const file = join(root, path);
    mkdirSync(dirname(file), {recursive: true});
    const bytes = recordedBytes(path);
    writeFileSync(file, bytes);
    const isOpen = /^db\/(trades~\d+\/2024-01-03|flat\/default)\//.test(path);
    truncateSync(file, isOpen ? Math.max(preallocatedBytes, bytes.length + zeros) : bytes.length + zeros);
  }
  mkdirSync(join(root, 'conf'));
  writeFileSync(join(root, 'conf/server.conf'), '# settings\n');
}
