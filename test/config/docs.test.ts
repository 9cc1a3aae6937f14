import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {knownSettings} from '../../src/config/index.ts';
import {optionName} from '../../src/config/settings.ts';

const manual = readFileSync(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8');

test('the manual has a row for every setting, in the order of the table, with its flag', async () => {
  const rows = [...manual.matchAll(/^\| `([a-z0-9._]+)` +\|[^|]*\|[^|]*\| +(?:`(--[a-z-]+)`)? *\|$/gm)];
  const written = rows.map(([, key, flag]) => ({key, flag}));
  const settings = await knownSettings();
  expect(written).toEqual(settings.map(({key, flag}) => ({key, flag: flag && optionName(flag)})));
});
