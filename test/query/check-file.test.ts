import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {expect, onTestFinished, test} from 'vitest';
import {checkFile, splitChecks, splitForeignChecks} from '../../src/query/index.ts';

const endless = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n';

function database(): string {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-check-'));
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}));
  new DatabaseSync(join(folder, 'a.db')).close();
  return join(folder, 'a.db');
}

test('a check that does not end in time does not hold, and says so', async () => {
  expect(await checkFile(database(), endless, {seconds: 1, mebibytes: 256})).toEqual({
    sql: endless,
    held: false,
    found: 'nothing within 1 seconds; verify.query.seconds of the configuration is the limit',
  });
});

test('a check that is interrupted is no result', async () => {
  const stop = new AbortController();
  const checked = checkFile(database(), endless, {seconds: 600, mebibytes: 256, signal: stop.signal});
  stop.abort();
  await expect(checked).rejects.toMatchObject({code: 'INTERRUPTED'});
});

test.each([
  ["SELECT ';;' <> note FROM a;; SELECT 1;", ["SELECT ';;' <> note FROM a", 'SELECT 1']],
  ['SELECT "a;;b" FROM a', ['SELECT "a;;b" FROM a']],
  ['SELECT 1 /* ;; */ ;;SELECT 2 -- ;;x', ['SELECT 1 /* ;; */', 'SELECT 2 -- ;;x']],
  ["SELECT 'it''s;;' = a FROM b", ["SELECT 'it''s;;' = a FROM b"]],
])('only ;; in the code separates checks: %s', (text, checks) => {
  expect(splitChecks(text)).toEqual(checks);
  expect(splitForeignChecks(text)).toEqual(checks);
});
