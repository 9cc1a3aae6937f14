import {readdirSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {createC, openDesk} from '../../helpers/desk.ts';
import {runDirectly} from '../../helpers/run-directly.ts';

// The process of an operation starts before the statement is checked.

test('a worker is prepared for each statement that starts an operation, and dismissed after it', async () => {
  const desk = openDesk();
  const events: string[] = [];
  const {give} = runDirectly(desk, {
    prepareWorker() {
      events.push('prepared');
      return () => void events.push('dismissed');
    },
    startWorker: async () => void events.push('started'),
  });
  await give(createC(false));
  await give('SHOW BACKUP COLLECTIONS');
  expect(events).toEqual([]);
  await expect(give('RESTORE c')).rejects.toMatchObject({code: 'BAD_REQUEST'});
  expect(events.splice(0)).toEqual(['prepared', 'dismissed']);
  await give('BACKUP c');
  expect(events).toEqual(['prepared', 'started', 'dismissed']);
});

test('statements that are refused leave no log of a worker behind', async () => {
  const desk = openDesk();
  await desk.sql(createC(false));
  await desk.sqlWait('BACKUP c');
  for (const statement of ["RESTORE c AT 'never'", 'VERIFY nowhere', 'BACKUP nowhere', 'RESTORE c']) {
    await desk.refused(statement);
  }
  expect(readdirSync(join(desk.home, 'logs'))).toEqual(['fullbackup-1.log']);
});
