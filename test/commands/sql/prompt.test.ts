import {readFileSync} from 'node:fs';
import {PassThrough} from 'node:stream';
import type {ReadStream} from 'node:tty';
import {stripVTControlCharacters} from 'node:util';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {asEntries} from '../../../src/commands/sql/history.ts';
import {promptForStatements} from '../../../src/commands/sql/prompt.ts';
import {BkpError} from '../../../src/errors/index.ts';
import {parse} from '../../../src/sql/index.ts';
import {temporaryHome} from '../../helpers/bkp.ts';
import {type TestDeps, testDeps} from '../../helpers/deps.ts';
import {eventually} from '../../helpers/eventually.ts';

const ctrlC = '\x03';
const ctrlD = '\x04';
const up = '\x1b[A';

let home: ReturnType<typeof temporaryHome>;
beforeEach(() => {
  home = temporaryHome();
});
afterEach(() => home.remove());

/** A prompt on a terminal that is read key by key (raw), or on one that edits lines itself. */
function prompt({byKey = true, changes = {}}: {byKey?: boolean; changes?: Partial<TestDeps>} = {}) {
  const base = testDeps(home.home);
  const raw: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (on: boolean) => void raw.push(on),
    ref: () => {},
  });
  Object.assign(base.stdout, {isTTY: byKey, columns: 80, rows: 24});
  let own = new AbortController();
  const deps: TestDeps = {
    ...base,
    stdin: stdin as unknown as ReadStream,
    interruptible: async (work) => {
      own = new AbortController();
      return work({...deps, signal: own.signal});
    },
    ...changes,
  };
  const ended = promptForStatements(deps, {wait: false, format: 'json'});
  return {
    raw,
    /** As one chunk, as a pasted text arrives. */
    type: (text: string) => stdin.write(text),
    /** Ctrl-C of a terminal that is not raw. */
    signal: () => own.abort(),
    whenInterrupted: (listener: () => void) => own.signal.addEventListener('abort', listener),
    reason: () => own.signal.reason,
    out: base.out,
    err: base.err,
    sees: (text: string) => eventually(() => expect(base.out() + base.err()).toContain(text)),
    /** The rows that statements printed. */
    rows: () => stripVTControlCharacters(base.out()).match(/\{"\w+":.*\}$/gm) ?? [],
    end: async () => {
      stdin.write(byKey ? ctrlD : '');
      if (!byKey) stdin.end();
      await ended;
      base.close();
    },
  };
}

test.each([
  ['a whole statement', 'SELECT 1 AS ran;'],
  ['its beginning', 'SELECT 1 AS ran'],
  ['its second line', 'SELECT 1\rAS ran;'],
  ['its second line, the cursor in the middle', 'SELECT 1\rAS ran;\x02\x02'],
  ['a pasted text with lines behind it', 'SELECT 1\rAS ran;'],
])('Ctrl-C drops what was typed: %s', async (_, typed) => {
  const it = prompt();
  await it.sees('bkp> ');
  it.type(typed);
  it.type(`${ctrlC}`);
  await it.sees('^C');
  it.type('\r;\r');
  it.type('SELECT 2 AS next;\r');
  await it.sees('{"next":2}');
  await it.end();
  expect(it.rows()).toEqual(['{"next":2}']);
});

test('a Ctrl-C in a chunk of input drops all input in that chunk', async () => {
  const it = prompt();
  await it.sees('bkp> ');
  it.type(`SELECT 1 AS ran;${ctrlC}SELECT 3 AS behind;\r`);
  await it.sees('^C');
  it.type('SELECT 2 AS next;\r');
  await it.sees('{"next":2}');
  await it.end();
  expect(it.rows()).toEqual(['{"next":2}']);
});

test('on a terminal that edits lines itself Ctrl-C is a signal and drops the lines above', async () => {
  const it = prompt({byKey: false});
  await it.sees('bkp> ');
  it.type('SELECT 1 AS ran\n');
  await it.sees('  -> ');
  it.signal();
  await it.sees('^C');
  it.type(';\nSELECT 2 AS next;\n');
  await it.sees('{"next":2}');
  await it.end();
  expect(it.rows()).toEqual(['{"next":2}']);
  // Keys are not read one by one, the cursor is not moved, and the prompt is not among the rows.
  expect([it.raw, it.out()]).toEqual([[], '{"next":2}\n']);
  expect(it.err()).not.toContain('\x1b');
});

test('help lists statements, and is no statement itself', async () => {
  const it = prompt();
  await it.sees('bkp> ');
  it.type('help;\r');
  await it.sees('CREATE BACKUP COLLECTION shop');
  it.type('SELECT 2 AS next;\r');
  await it.sees('{"next":2}');
  await it.end();
  expect(it.rows()).toEqual(['{"next":2}']);
});

test('TERM=dumb: no cursor codes', async () => {
  const it = prompt({changes: {env: {TERM: 'dumb'}}});
  await it.sees('bkp> ');
  it.type('SELECT 2 AS next;\n');
  await it.sees('{"next":2}');
  it.type('exit\n');
  await it.end();
  expect(it.out() + it.err()).not.toContain('\x1b');
});

test('pasted statements run one after the other; an incomplete one waits for its end', async () => {
  const it = prompt();
  await it.sees('bkp> ');
  it.type('SELECT 1 AS a;\rSELECT 2 AS b\r; SELECT 3 AS c;\rSELECT 4');
  await it.sees('{"c":3}');
  it.type(' AS d;\r');
  await it.sees('{"d":4}');
  await it.end();
  expect(it.rows()).toEqual(['{"a":1}', '{"b":2}', '{"c":3}', '{"d":4}']);
});

test('a running statement has the terminal; Ctrl-C returns to the prompt and drops what was typed ahead', async () => {
  let begun = false;
  const it = prompt({
    changes: {
      // SHOW reads the settings first, which here waits for a server until it is interrupted.
      settings: () => {
        if (begun) return testDeps(home.home).settings();
        begun = true;
        return new Promise((_, fail) => it.whenInterrupted(() => fail(it.reason())));
      },
    },
  });
  await it.sees('bkp> ');
  it.type('SHOW BACKUP COLLECTIONS;\r');
  await eventually(() => expect(begun).toBe(true));
  expect(it.raw.at(-1)).toBe(false);
  it.type('SELECT 1 AS ran;\r');
  it.signal();
  await it.sees('interrupted (ABORTED)');
  it.type('SELECT 2 AS next;\r');
  await it.sees('{"next":2}');
  await it.end();
  expect(it.rows()).toEqual(['{"next":2}']);
});

test('a statement that ignores Ctrl-C is not interrupted, and the prompt reports that', async () => {
  let release = () => {};
  let begun = false;
  const it = prompt({
    changes: {
      settings: () => {
        begun = true;
        return new Promise((_, fail) => {
          release = () => fail(new BkpError('STORE_UNAVAILABLE', 'gone'));
        });
      },
    },
  });
  await it.sees('bkp> ');
  it.type('SHOW BACKUP COLLECTIONS;\r');
  await eventually(() => expect(begun).toBe(true));
  it.signal();
  await it.sees('Ctrl-C again ends bkp');
  release();
  await it.sees('gone');
  await it.sees('bkp> ');
  await it.end();
});

test('Ctrl-D within a statement ends the prompt and runs nothing', async () => {
  const it = prompt();
  await it.sees('bkp> ');
  it.type('SELECT 1 AS ran\r');
  await it.sees('  -> ');
  await it.end();
  expect(it.rows()).toEqual([]);
});

test('an error is printed, and the prompt continues', async () => {
  const it = prompt();
  await it.sees('bkp> ');
  it.type('SELEC 1;\r');
  await it.sees('syntax error');
  it.type('SELECT 1 AS a;\r');
  await it.sees('{"a":1}');
  await it.end();
});

test('the history keeps the meaning of a statement of many lines, in this session and the next', async () => {
  const it = prompt();
  await it.sees('bkp> ');
  it.type('SELECT 1 AS a, -- the first\r 2 AS b /* and\r the second */\r;\r');
  await it.sees('{"a":1,"b":2}');
  it.type(`${up}\r`);
  await eventually(() => expect(it.rows()).toHaveLength(2));
  await it.end();
  expect(it.rows()).toEqual(Array(2).fill('{"a":1,"b":2}'));
  expect(readFileSync(`${home.home}/history`, 'utf8').split('\n')[0]).toBe('SELECT 1 AS a, 2 AS b ;');

  const later = prompt();
  await later.sees('bkp> ');
  later.type(`${up}\r`);
  await later.sees('{"a":1,"b":2}');
  await later.end();
});

test('keys are not stored in the history', async () => {
  const it = prompt();
  await it.sees('bkp> ');
  it.type("COPY BACKUP COLLECTION c TO 's3::bucket=b;secret_access_key=hush;';\rSELECT 1 AS a;\r");
  await it.sees('{"a":1}');
  await it.end();
  expect(readFileSync(`${home.home}/history`, 'utf8')).toBe('SELECT 1 AS a;\n');
});

test.each([
  ['BACKUP a;', ['BACKUP a;']],
  ['BACKUP a -- now\nINCREMENTAL;', ['BACKUP a INCREMENTAL;']],
  ['BACKUP/* */a\n;', ['BACKUP a ;']],
  ['-- one\nBACKUP a;\n-- two', ['BACKUP a;']],
  ["SELECT '--\nx', 1;", ["SELECT '--", "x', 1;"]],
  ['BACKUP `a\nb`;', ['BACKUP `a', 'b`;']],
  ["SELECT ' -- ', 2\n;", ["SELECT ' -- ', 2 ;"]],
])('%j is remembered as %j', (text, entries) => {
  expect(asEntries(text)).toEqual(entries);
  if (entries.length > 1) return;
  const meant = (written: string) => parse(written).map(({text: _, place: __, ...body}) => kindsOf(body));
  expect(meant(entries[0]!)).toEqual(meant(text));
});

/** A statement without the positions of its parts. */
function kindsOf(body: unknown): unknown {
  return JSON.parse(JSON.stringify(body, (key, value) => (key === 'place' ? undefined : value)));
}

test.each([
  ['exit', 'The statement that was not ended by ; was not run.'],
  ['  QUIT;', 'The statement that was not ended by ; was not run.'],
])('%j in the middle of a statement leaves the prompt', async (line, said) => {
  const it = prompt();
  await it.sees('bkp> ');
  it.type(`SELECT 1 AS ran\r${line}\r`);
  await it.sees(said);
  await it.end();
  expect(it.rows()).toEqual([]);
});

test('exit in a quoted text is text', async () => {
  const it = prompt();
  await it.sees('bkp> ');
  it.type("SELECT 'a\rexit\r' AS ran;\r");
  await it.sees('{"ran":"a\\nexit\\n"}');
  await it.end();
  expect(it.err()).not.toContain('was not run');
});

test('the greeting and the help of the prompt fit a terminal of 80 columns', async () => {
  const typing = prompt();
  await typing.sees('bkp> ');
  typing.type('help\r');
  await typing.sees('bkp operation list shows what runs.');
  await typing.end();
  const lines = stripVTControlCharacters(typing.err()).split(/\r?\n/);
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
});
