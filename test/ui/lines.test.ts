import {expect, test} from 'vitest';
import {showLines} from '../../src/ui/lines.ts';
import {feed} from '../helpers/feed.ts';
import {anOperation, createdAtMicros, done, running, second, transfer} from '../helpers/operations.ts';

function start(from: ReturnType<typeof feed>, withoutErrors = false) {
  const view = {text: '', nowMicros: createdAtMicros, leave: new AbortController()};
  const end = showLines({
    subscribe: from.subscribe,
    write: (text) => {
      view.text += text;
    },
    nowMicros: () => view.nowMicros,
    signal: view.leave.signal,
    withoutErrors,
  });
  return Object.assign(view, {end});
}

test('a line is printed for each change of phase, every ten seconds, and at the end', async () => {
  const from = feed(anOperation());
  const view = start(from);
  const steps = [1, 2, 5, 11.5, 12];
  for (const at of steps) {
    view.nowMicros = createdAtMicros + at * second;
    from.show(anOperation({state: running(), progress: transfer}));
  }
  const result = {backup: 'shop/20251226130524Z_full', rows: 3, logicalBytes: 104_857_600};
  view.nowMicros += second;
  from.show(anOperation({state: done({status: 'SUCCESS', result})}));
  expect((await view.end).why).toBe('finished');
  expect(view.text).toBe(`\
2025-12-26T13:05:24Z fullbackup/12 Preparing
2025-12-26T13:05:25Z fullbackup/12 TransferData (12.34%), 12.3 MiB of 100 MiB, 5.1 MiB/s, 18 s left
2025-12-26T13:05:35Z fullbackup/12 TransferData (12.34%), 12.3 MiB of 100 MiB, 5.1 MiB/s, 18 s left
2025-12-26T13:05:37Z fullbackup/12 SUCCESS, shop/20251226130524Z_full, 3 rows, 100 MiB
`);
  expect(from.listeners.size).toBe(0);
});

test('a failure prints its issues, each line with the operation id', async () => {
  const error = {code: 'STORE_FULL', status: 'UNAVAILABLE', message: 'the store\nis full', next: 'free some'};
  const view = start(feed(anOperation({state: done({status: 'ERROR', error, issues: [], result: {}})})));
  await view.end;
  expect(view.text).toBe(`\
2025-12-26T13:05:24Z fullbackup/12 ERROR
2025-12-26T13:05:24Z fullbackup/12 the store
2025-12-26T13:05:24Z fullbackup/12 is full
2025-12-26T13:05:24Z fullbackup/12 next:  free some
`);
});

test('without errors, lines still print notices, but not the failure', async () => {
  const error = {code: 'STORE_FULL', status: 'UNAVAILABLE', message: 'the store is full', next: 'free some'};
  const outcome = {status: 'ERROR', error, issues: [], result: {notices: ['no mail was sent']}} as const;
  const view = start(feed(anOperation({state: done(outcome)})), true);
  await view.end;
  expect(view.text).toBe(`\
2025-12-26T13:05:24Z fullbackup/12 ERROR
2025-12-26T13:05:24Z fullbackup/12 no mail was sent
`);
});

test('leaving returns the last state and ends the subscription', async () => {
  const from = feed(anOperation({state: running()}));
  const view = start(from);
  view.leave.abort();
  expect(await view.end).toMatchObject({why: 'left', operations: [{number: 12}]});
  expect(from.listeners.size).toBe(0);
});
