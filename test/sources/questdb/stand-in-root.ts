import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach} from 'vitest';
import {ExecStandIn} from './exec-stand-in.ts';
import {writeRecordedRoot} from './recorded-root.ts';

/** A recorded root in its own folder, and a stand-in for its server. */
export type StandInRoot = {folder: string; root: string; server: ExecStandIn};

/** Creates one before each test of the file, and removes it after the test. */
export function withStandInRoot(use: (place: StandInRoot) => void): void {
  let place: StandInRoot;
  beforeEach(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'bkp-questdb-'));
    const root = join(folder, 'root');
    writeRecordedRoot(root);
    place = {folder, root, server: await ExecStandIn.start(root)};
    use(place);
  });
  afterEach(async () => {
    await place.server.stop();
    rmSync(place.folder, {recursive: true, force: true});
  });
}
