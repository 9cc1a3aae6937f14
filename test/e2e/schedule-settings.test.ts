import {expect, test} from 'vitest';
import {openDesk} from '../helpers/desk.ts';
import {runDirectly} from '../helpers/run-directly.ts';

const create = (settings: string) => `CREATE BACKUP COLLECTION c (TABLE orders) WITH (STORAGE='cluster', ${settings})`;

test('a schedule is set, shown, altered and removed', async () => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  const settings = async () => (await run('SHOW BACKUP COLLECTIONS')).table?.rows[0]?.at(-1);
  await run(create("SCHEDULE=' 0  2 * * MON-FRI', SCHEDULE_FULL='0 2 * * 1#1', SCHEDULE_TZ='Europe/Berlin'"));
  expect(await settings()).toBe(
    "STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='false', SCHEDULE='0 2 * * MON-FRI', " +
      "SCHEDULE_FULL='0 2 * * 1#1', SCHEDULE_TZ='Europe/Berlin'",
  );
  await run("ALTER BACKUP COLLECTION c SET (SCHEDULE='0 3 * * *'), RESET (SCHEDULE_FULL, SCHEDULE_TZ)");
  expect(await settings()).toBe("STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='false', SCHEDULE='0 3 * * *'");
  await run(
    "ALTER BACKUP COLLECTION c SET (SCHEDULE_VERIFY='0  4 * * *', VERIFY_BUDGET='10 GiB', SCHEDULE_DRILL='0 5 1 * *')",
  );
  expect(await settings()).toMatch(
    /SCHEDULE='0 3 \* \* \*', SCHEDULE_VERIFY='0 4 \* \* \*', VERIFY_BUDGET='10 GiB', SCHEDULE_DRILL='0 5 1 \* \*'$/,
  );
  await run('ALTER BACKUP COLLECTION c RESET (SCHEDULE, SCHEDULE_VERIFY, VERIFY_BUDGET, SCHEDULE_DRILL)');
  expect(await settings()).toBe("STORAGE='cluster', INCREMENTAL_BACKUP_ENABLED='false'");
});

test.each([
  ["SCHEDULE='60 * * * *'", /'60 \* \* \* \*' is not a cron line/],
  ["VERIFY_BUDGET='1 MiB'", /VERIFY_BUDGET cannot be '1 MiB'/],
  ["SCHEDULE_DRILL='monthly'", /is not a cron line/],
  ["SCHEDULE=''", /is not a cron line/],
  ["SCHEDULE_FULL='0 0 31 2 *'", /is not a cron line/],
  ["SCHEDULE_TZ='Mars/Olympus'", /there is no time zone 'Mars\/Olympus'/],
])('refused: %s', async (settings, message) => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  await expect(run(create(settings))).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    message: expect.stringMatching(message),
  });
  expect((await run('SHOW BACKUP COLLECTIONS')).table?.rows).toEqual([]);
});
