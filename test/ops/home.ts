import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {type Processes, systemProcesses} from '../../src/lib/processes.ts';
import {type Journal, type JournalOptions, type NewOperation, openJournal} from '../../src/ops/index.ts';

export type TestHome = {
  dir: string;
  file: string;
  logsDir: string;
  /** The clock of every journal opened through this home; tests change it. */
  clock: {nowMicros: number};
  open(processes?: Processes, onReaped?: JournalOptions['onReaped']): Journal;
  /** Closes the journals, and removes the folder. */
  remove(): void;
};

export function makeHome(): TestHome {
  const dir = mkdtempSync(join(tmpdir(), 'bkp-ops-'));
  const opened: Journal[] = [];
  const home: TestHome = {
    dir,
    file: join(dir, 'home', 'journal.sqlite'),
    logsDir: join(dir, 'home', 'logs'),
    clock: {nowMicros: Date.UTC(2026, 10, 21, 12) * 1000},
    open(processes = systemProcesses, onReaped = () => {}) {
      const nowMicros = () => home.clock.nowMicros;
      const journal = openJournal({file: home.file, logsDir: home.logsDir, nowMicros, processes, onReaped});
      opened.push(journal);
      return journal;
    },
    remove() {
      for (const journal of opened) journal.close();
      rmSync(dir, {recursive: true, force: true});
    },
  };
  return home;
}

export function newOperation(change: Partial<NewOperation> = {}): NewOperation {
  return {
    kind: 'fullbackup',
    subject: {kind: 'collection', name: 'shop'},
    shared: false,
    statement: 'BACKUP shop',
    work: {collection: 'shop'},
    createdBy: 'me@here',
    ...change,
  };
}
