import {readdirSync, readFileSync} from 'node:fs';
import {getPriority} from 'node:os';
import {DatabaseSync} from 'node:sqlite';
import {expect, test} from 'vitest';
import {openDesk} from '../helpers/desk.ts';
import {eventually} from '../helpers/eventually.ts';
import {whileHeld} from '../helpers/held-worker.ts';
import {slowSchema} from '../helpers/slow-schema.ts';

/** The priorities of all threads of a process, and on Linux that of its session. */
function prioritiesOf(pid: number): unknown[] {
  const group = /nice (-?\d+)/.exec(readFileSync(`/proc/${pid}/autogroup`, 'utf8'))?.[1];
  return [
    ...new Set([...readdirSync(`/proc/${pid}/task`).map((thread) => getPriority(Number(thread))), Number(group)]),
  ];
}

test.runIf(process.platform === 'linux')(
  'a backup that takes longer runs at low priority in all its threads',
  async () => {
    const desk = openDesk(slowSchema, {BKP_BACKUP_NICENESS: '7'});
    await desk.sql("CREATE BACKUP COLLECTION c DATABASE WITH (STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='true')");
    const application = new DatabaseSync(desk.database);
    // The worker starts tracking, and waits for that here, blocked in SQLite.
    const pid = await whileHeld(desk, {give: () => desk.sql('BACKUP c')}, async (pid) => {
      application.exec('BEGIN IMMEDIATE');
      return pid;
    });
    await eventually(() => expect(prioritiesOf(pid)).toEqual([Math.max(7, getPriority())]));
    application.exec('ROLLBACK');
    application.close();
    expect(await desk.bkp('operation', 'wait', 'last')).toMatchObject({status: 0});
  },
);
