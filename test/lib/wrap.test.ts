import {expect, test} from 'vitest';
import {statusLine, wrappedError, wrappedIssue} from '../../src/lib/wrap.ts';

const error = `bkp: path exist: /Root/customers, /Root/orders, /Root/stock (SCHEME_ERROR)
  - the row with customer 'somebody with a long name' and order 5
cause: RESTORE creates its tables and changes no existing one; nothing was restored
next:  restore into a new file: RESTORE shop AT '20261127220836Z_full' INTO './restored.db'
    at a line of a stack that is longer than forty columns
`;

test('an error on a terminal wraps between words, its next step around the command', () => {
  expect(wrappedError(error, 40)).toBe(`bkp: path exist: /Root/customers,
     /Root/orders, /Root/stock
     (SCHEME_ERROR)
  - the row with customer 'somebody with
    a long name' and order 5
cause: RESTORE creates its tables and
       changes no existing one; nothing
       was restored
next:  restore into a new file:
       RESTORE shop AT '20261127220836Z_full' INTO './restored.db'
    at a line of a stack that is longer than forty columns
`);
  expect(wrappedError(error, undefined)).toBe(error);
});

test('the mark of a syntax error stays below what it points at', () => {
  const marked =
    'bkp: syntax error\ncause: SELECT something that is FORM a long line\n                                ^\n';
  expect(wrappedError(marked, 30)).toBe(marked);
});

test('a line of progress never reaches the next line, and no name in it moves the cursor', () => {
  expect(statusLine('reading a table with a long name, 5 MiB', 21)).toBe('\r\x1b[Kreading a table wit…');
  expect(statusLine('reading a\n\x1b[31mb', 80)).toBe('\r\x1b[Kreading a\\n\\x1b[31mb');
  expect(statusLine('', undefined)).toBe('\r\x1b[K');
});

test('a command that does not fit into a box is broken there, and others are not', () => {
  const step = '  next:  bkp vault key list, or bkp config set source sqlite::path=/a/very/long/path.db';
  expect(wrappedIssue(step, 36)).toEqual([
    '  next:  bkp vault key list, or',
    '         bkp config set source',
    '         sqlite::path=/a/very/long/p',
    'ath.db',
  ]);
  expect(wrappedIssue('the store is full of other files', 20)).toEqual(['the store is full of', 'other files']);
});
