import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {statuses} from '../../../src/app/health/journal-facts.ts';
import {families} from '../../../src/commands/metrics/families.ts';

const manual = readFileSync(join(import.meta.dirname, '../../../docs/monitoring.md'), 'utf8');
const names = families([], {counts: [], histories: [], storesWithBackups: []}, 0).map(({name}) => name);

test('the manual has a row for every metric, in the order in which they are printed', () => {
  expect([...manual.matchAll(/^\| `(bkp_\w+)` \|/gm)].map(([, name]) => name)).toEqual(names);
});

test('every metric in the manual exists, with the statuses that are printed', () => {
  const spoken = [...manual.matchAll(/\bbkp_[a-z_]+\w/g)].map(([name]) => name);
  expect(spoken.filter((name) => !names.includes(name))).toEqual([]);
  expect(manual).toContain(`(${statuses.map((status) => `\`${status}\``).join(', ')})`);
});

test('metric names end in base units, as Prometheus requires', () => {
  for (const name of names) {
    expect(name).toMatch(/^bkp_[a-z]+(_[a-z]+)*$/);
    expect(name).not.toMatch(/milli|micros|_ms$|kilo|mib|_total$|_count$/);
    if (/timestamp|age|duration/.test(name)) expect(name).toMatch(/_seconds$/);
  }
});

test('the operation in the manual has only fields of the contract', () => {
  const [, json = ''] = /```json\n(.*)\n```/.exec(manual) ?? [];
  const operations = readFileSync(join(import.meta.dirname, '../../../docs/operations.md'), 'utf8');
  for (const field of Object.keys(JSON.parse(json) as object)) expect(operations).toContain(`\`${field}`);
});
