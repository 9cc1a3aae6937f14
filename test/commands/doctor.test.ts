import {expect, test} from 'vitest';
import {oncePerCause} from '../../src/commands/doctor/run.ts';

const away = 'there is no database at /srv/app.db';
const next = 'check the path of the source: bkp config get source';

test('checks that fail for one cause are one fault, which names the others', () => {
  const node = {what: 'node', ok: true, detail: '24'};
  const source = {what: 'source', ok: false, detail: `${away}: ENOENT: no such file`, next};
  const chains = ['shop', 'club'].map((name) => ({
    what: `chain: ${name}`,
    ok: false,
    detail: `no increment is possible: ${away}`,
    next,
  }));
  expect(oncePerCause([node, source, ...chains])).toEqual([
    node,
    {
      ...source,
      detail: [
        source.detail,
        ...['shop', 'club'].map((name) => `for this reason the check of chain: ${name} fails too`),
      ].join('; '),
    },
  ]);
});

test('other faults stay, also those with the same next step', () => {
  const checks = [
    {what: 'source: tracking', ok: false, detail: 'a trigger of a is missing', next},
    {what: 'source: tracking', ok: false, detail: 'a trigger of b is missing', next},
    {what: 'secrets', ok: false, detail: 'a key is readable'},
    {what: 'secrets', ok: false, detail: 'a key is readable'},
  ];
  expect(oncePerCause(checks)).toEqual(checks);
});
