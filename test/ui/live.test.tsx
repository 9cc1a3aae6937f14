import {stripVTControlCharacters} from 'node:util';
import {render} from 'ink-testing-library';
import {afterEach, expect, test} from 'vitest';
import {widthOf} from '../../src/lib/text.ts';
import type {Operation} from '../../src/ops/index.ts';
import {leaveNote} from '../../src/ui/index.ts';
import {Live, wrappedRows} from '../../src/ui/live.tsx';
import {RunningBlock, runningWidths} from '../../src/ui/live-blocks.tsx';
import {eventually} from '../helpers/eventually.ts';
import {feed} from '../helpers/feed.ts';
import {anOperation, createdAtMicros, done, running, second, transfer} from '../helpers/operations.ts';

const open: {unmount: () => void}[] = [];
afterEach(() => {
  for (const app of open.splice(0)) app.unmount();
});

function watch(from: ReturnType<typeof feed>, onDraw?: (widths: readonly number[]) => void) {
  const ends: {why: string; operations: readonly Operation[]}[] = [];
  const cancelled: Operation[] = [];
  const leave = new AbortController();
  const app = render(
    <Live
      stdin={process.stdin}
      stdout={process.stdout}
      colors={false}
      subscribe={from.subscribe}
      nowMicros={() => createdAtMicros + 4 * second}
      cancel={(operation) => cancelled.push(operation)}
      signal={leave.signal}
      {...(onDraw === undefined ? {} : {onDraw})}
      onEnd={(end) => ends.push(end)}
    />,
  );
  open.push(app);
  // Ending writes an empty frame; only the frame above it counts.
  const frame = () => app.frames.findLast((drawn) => drawn.trim() !== '') ?? '';
  const press = async (keys: string, until: () => boolean) => {
    app.stdin.write(keys);
    await eventually(() => expect(until()).toBe(true));
  };
  return {...app, ends, cancelled, leave, frame, press};
}

const active = (number = 12) => anOperation({number, state: running(), progress: transfer});
const succeeded = (number = 12) =>
  anOperation({number, state: done({status: 'SUCCESS', result: {backup: 'shop/20251226130524Z_full', rows: 3}})});

test('a running operation shows its statement, progress, rate, time left, and the keys', async () => {
  const {frame} = watch(feed(active()));
  await eventually(() =>
    expect(frame()).toBe(`\
fullbackup/12 BACKUP shop
████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 12.34%  TransferData
12.3 MiB of 100 MiB · 5.1 MiB/s · 18 s left · elapsed 4 s

q leave · c cancel`),
  );
});

test.each([
  [40, ['█░░░░░░░░░░░░░░░ 12.34%  TransferData', '12.3 MiB of 100 MiB · 18 s left']],
  [27, ['░░░░░░ 12.34%  TransferData', '18 s left']],
  [20, ['█░░░░░░░░░ 12.34%', '18 s left']],
])('on a terminal of %s columns, a block shows what has room', async (columns, lines) => {
  const props = {operation: active(), columns, nowMicros: createdAtMicros + 4 * second, marked: false};
  const app = render(<RunningBlock colors={false} {...props} />);
  open.push(app);
  expect(app.lastFrame()!.trimEnd().split('\n').slice(1)).toEqual(lines);
  for (const width of runningWidths(props)) expect(width).toBeLessThanOrEqual(columns);
});

test('elapsed time counts from the statement, not from the start of the worker', async () => {
  const from = feed(anOperation());
  const {frame} = watch(from);
  await eventually(() => expect(frame()).toContain('elapsed 4 s'));
  const startedAtMicros = createdAtMicros + 3 * second;
  from.show(anOperation({state: {...running(), startedAtMicros} as Operation['state'], progress: transfer}));
  await eventually(() => expect(frame()).toContain('18 s left · elapsed 4 s'));
});

test('after the terminal got narrower, all rows of broken lines are erased', async () => {
  let widths: readonly number[] = [];
  const statement = `BACKUP ${'long_'.repeat(40)}`;
  const from = feed(active(1), {...active(2), statement});
  const {frame} = watch(from, (drawn) => {
    widths = drawn;
  });
  await eventually(() => expect(frame()).toContain('q leave'));
  const lines = stripVTControlCharacters(frame()).split('\n');
  expect(lines.map((line) => widthOf(line))).toEqual(widths);
  expect(wrappedRows(widths, 100)).toBe(0);
  expect(wrappedRows([100, 60, 0, 61], 60)).toBe(2);
  expect(wrappedRows([100, 60, 0, 61], 20)).toBe(4 + 2 + 3);
});

test('the view ends when all operations are done, and keeps their outcome on screen', async () => {
  const from = feed(active(1), active(2));
  const {frame, ends} = watch(from);
  await eventually(() => expect(frame()).toContain('fullbackup/2'));
  from.show(succeeded(1), active(2));
  await eventually(() => expect(frame()).toContain('✓ fullbackup/1 BACKUP shop'));
  expect(ends).toEqual([]);
  const error = {code: 'STORE_FULL', status: 'UNAVAILABLE', message: 'the store is full', next: 'free some'};
  from.show(succeeded(1), anOperation({number: 2, state: done({status: 'ERROR', error, issues: [], result: {}})}));
  await eventually(() => expect(ends).toMatchObject([{why: 'finished', operations: [{number: 1}, {number: 2}]}]));
  expect(frame().trimEnd()).toBe(`\
✓ fullbackup/1 BACKUP shop
SUCCESS shop/20251226130524Z_full 3 rows, in 1 s

✗ fullbackup/2 BACKUP shop
ERROR in 1 s
the store is full
next:  free some`);
});

test.each([
  ['q', 'q'],
  ['Esc', '\u001b'],
  ['Ctrl-C', '\u0003'],
])('%s leaves: the last state stays without the keys, and nothing is cancelled', async (_, key) => {
  const from = feed(active());
  const {frame, press, ends, cancelled} = watch(from);
  await eventually(() => expect(frame()).toContain('q leave'));
  await press(key, () => ends.length > 0);
  expect(ends[0]).toMatchObject({why: 'left', operations: [{number: 12}]});
  expect(frame()).toContain('12.34%');
  expect(frame()).not.toContain('q leave');
  expect(cancelled).toEqual([]);
  await eventually(() => expect(from.listeners.size).toBe(0));
});

test('c asks for confirmation, and only y cancels', async () => {
  const {frame, press, cancelled} = watch(feed(active()));
  await eventually(() => expect(frame()).toContain('q leave'));
  await press('c', () => frame().includes('Cancel fullbackup/12? y/n'));
  await press('n', () => frame().includes('q leave'));
  expect(cancelled).toEqual([]);
  await press('c', () => frame().includes('Cancel fullbackup/12? y/n'));
  await press('y', () => cancelled.length === 1);
  expect(cancelled).toMatchObject([{number: 12}]);
});

test('a confirmation cancels only the operation that it names', async () => {
  const from = feed(active(1), active(2));
  const {frame, press, cancelled} = watch(from);
  await eventually(() => expect(frame()).toContain('choose'));
  await press('c', () => frame().includes('Cancel fullbackup/1? y/n'));
  from.show(succeeded(1), active(2));
  await eventually(() => expect(frame()).toContain('q leave'));
  await press('y', () => true);
  await press('c', () => frame().includes('Cancel fullbackup/2? y/n'));
  expect(cancelled).toEqual([]);
});

test('the arrow keys select the operation that c cancels', async () => {
  const {frame, press} = watch(feed(active(1), active(2)));
  await eventually(() => expect(frame()).toContain('› fullbackup/1'));
  await press('\u001b[B', () => frame().includes('› fullbackup/2'));
  await press('c', () => frame().includes('Cancel fullbackup/2? y/n'));
});

test('operations that do not fit are counted, and the selected one is always shown', async () => {
  const many = Array.from({length: 20}, (_, at) => active(at + 1));
  const {frame, press} = watch(feed(...many));
  await eventually(() => expect(frame()).toMatch(/and \d+ more/));
  expect(frame().split('\n').length).toBeLessThanOrEqual(24);
  for (let at = 2; at <= 12; at += 1) await press('\u001b[B', () => frame().includes(`› fullbackup/${at} `));
});

test('control sequences in a statement do not reach the terminal', async () => {
  const {frame} = watch(feed(anOperation({statement: 'BACKUP `a\u001b[2Jb\n`', state: running()})));
  await eventually(() => expect(frame()).toContain('BACKUP `a\\x1b[2Jb\\n`'));
});

test('an outside signal leaves the view too', async () => {
  const {frame, leave, ends} = watch(feed(active()));
  await eventually(() => expect(frame()).toContain('q leave'));
  leave.abort();
  await eventually(() => expect(ends).toMatchObject([{why: 'left'}]));
});

test('the note after leaving names what continues and how to cancel it', () => {
  expect(leaveNote([succeeded(1), active(2)])).toBe(
    'fullbackup/2 continues in the background.\nwatch:  bkp operation watch fullbackup/2\ncancel: ' +
      'bkp operation cancel fullbackup/2\n',
  );
  expect(leaveNote([active(1), active(2)])).toBe(
    'fullbackup/1, fullbackup/2 continue in the background.\nwatch:  bkp operation watch ' +
      'fullbackup/1 fullbackup/2\ncancel: bkp operation cancel <id>\n',
  );
  expect(leaveNote([succeeded()])).toBe('');
});
