import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {createC, type Desk, openDesk} from '../helpers/desk.ts';
import {whileHeld} from '../helpers/held-worker.ts';
import {slowSchema} from '../helpers/slow-schema.ts';

// The published cases of operations, by number; the cases with an empty journal are in
// test/commands/operation.

type Listed = {operations: {id: string; status: string; ready?: boolean}[]; nextPageToken: string};

async function listed(desk: Desk, ...args: string[]): Promise<Listed> {
  return JSON.parse((await desk.bkp('operation', 'list', ...args)).stdout) as Listed;
}

async function withFulls(count: number): Promise<Desk> {
  const desk = openDesk();
  await desk.sql(createC(true));
  for (let at = 0; at < count; at++) await desk.sqlWait('BACKUP c');
  return desk;
}

test('YO03, YO04, YO13, YO14: a finished full backup appears in every listing and format', async () => {
  const desk = await withFulls(1);
  const {stdout} = await desk.bkp('operation', 'list', 'fullbackup');
  expect(stdout).toMatch(/│ id +│ ready │ status {2}│ progress │/);
  expect(stdout).toMatch(/│ fullbackup\/\d+ │ true {2}│ SUCCESS │ Done {5}│/);

  expect((await listed(desk, 'incbackup', '--format', 'json')).operations.map(({id}) => id)).toEqual(['fullbackup/1']);
  expect((await listed(desk, 'restore', '--format', 'json')).operations).toEqual([]);

  const got = await desk.bkp('operation', 'get', 'fullbackup/1');
  expect(got.status).toBe(0);
  expect(got.stdout).toMatch(/┘\n\n$/);
  expect(got.stdout).not.toContain('page token');
  const proto = await desk.bkp('operation', 'get', '1', '--format', 'proto-json-base64');
  expect((JSON.parse(proto.stdout) as {status: string}).status).toBe('SUCCESS');
});

test('YO05: operations are listed by id, newest first', async () => {
  const desk = await withFulls(1);
  await desk.sqlWait('BACKUP c INCREMENTAL');
  const {operations} = await listed(desk, 'incbackup', '--format', 'proto-json-base64');
  expect(operations[0]!.id).toMatch(/^incbackup\/\d+$/);
});

test('YO06, YO07: long lists are paged', async () => {
  const desk = await withFulls(3);
  const first = await desk.bkp('operation', 'list', 'fullbackup', '-s', '2');
  expect(first.stdout.match(/fullbackup\/\d+/g)).toEqual(['fullbackup/3', 'fullbackup/2']);
  expect(first.stdout).toMatch(/Next page token: 2\n$/);
  const second = await desk.bkp('operation', 'list', 'fullbackup', '-s', '2', '-t', '2');
  expect(second.stdout.match(/fullbackup\/\d+/g)).toEqual(['fullbackup/1']);
  expect(second.stdout).toMatch(/Next page token: 0\n$/);
});

test('YO10: a failed incremental is listed as an error, with an issue', async () => {
  const desk = await withFulls(1);
  // The checks before the start find nothing wrong: only the worker checks that the database knows the backup before.
  desk.exec('DELETE FROM _bkp_marks');
  const failed = await desk.bkp('sql', '--wait', 'BACKUP c INCREMENTAL');
  expect(failed.status).toBe(12);
  const {operations} = await listed(desk, 'incbackup', '--format', 'json');
  const errors = operations.filter(({status}) => status === 'ERROR');
  expect(errors).toHaveLength(1);
  expect(errors[0]).toMatchObject({issues: [{message: expect.stringMatching(/\w/)}]});
  expect((await desk.bkp('operation', 'get', errors[0]!.id)).status).toBe(1);
});

test('YO15: forget removes the record, not the backup', async () => {
  const desk = await withFulls(1);
  const forgotten = await desk.bkp('operation', 'forget', 'fullbackup/1');
  expect(forgotten).toMatchObject({status: 0, stdout: '', stderr: ''});
  const got = await desk.bkp('operation', 'get', 'fullbackup/1');
  expect(got.status).toBe(10);
  expect(got.stderr).toContain('Full backup with id 1 is not found (NOT_FOUND)');
  desk.exec('DROP TABLE orders; DROP TABLE products');
  await desk.sqlWait('RESTORE c');
  expect(desk.column('SELECT count(*) FROM orders')).toEqual([3]);
});

test('YO16, YO19, YS21: conflicting statements are refused while a backup or a restore runs', async () => {
  const desk = openDesk(slowSchema);
  await desk.sql("CREATE BACKUP COLLECTION c (TABLE big) WITH (STORAGE='cluster')");
  await whileHeld(desk, {give: () => desk.sql('BACKUP c')}, async () => {
    const forget = await desk.bkp('operation', 'forget', 'fullbackup/1');
    expect(forget.status).not.toBe(0);
    expect(forget.stderr).toMatch(/Full backup with id 1 hasn't been finished yet.*PRECONDITION_FAILED/);
    expect((await desk.refused('DROP BACKUP COLLECTION c')).stderr).toContain('PRECONDITION_FAILED');
    const second = await desk.refused('BACKUP c');
    expect(second.status).toBe(11);
    expect(second.stderr).toMatch(/fullbackup\/1.*OVERLOADED/);
  });
  expect((await desk.bkp('operation', 'wait', '1')).status).toBe(0);

  desk.exec('DROP TABLE big');
  await whileHeld(desk, {give: () => desk.sql('RESTORE c')}, async () => {
    const {operations} = await listed(desk, 'restore', '--format', 'proto-json-base64');
    expect(operations.filter(({ready}) => ready === false).map(({id}) => id)).toEqual(['restore/2']);
  });
  expect((await desk.bkp('operation', 'wait', '2')).status).toBe(0);
  await desk.sqlWait('DROP BACKUP COLLECTION c');
});

test('YO18: a shell loop forgets every finished operation', async () => {
  const desk = await withFulls(2);
  const bkp = join(import.meta.dirname, '../../bin/bkp.js');
  const script = `
    bkp() { "${process.execPath}" "${bkp}" "$@"; }
    bkp operation list incbackup --format proto-json-base64 |
      "${process.execPath}" -e '
        for (const o of JSON.parse(fs.readFileSync(0)).operations)
          if (o.ready === true && o.status === "SUCCESS") console.log(o.id)' |
      while read -r id; do bkp operation forget "$id"; done`;
  execFileSync('sh', ['-c', script], {env: {BKP_HOME: desk.home, PATH: process.env.PATH}});
  expect((await listed(desk, 'incbackup', '--format', 'json')).operations).toEqual([]);
});
