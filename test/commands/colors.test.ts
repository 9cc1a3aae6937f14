import {expect, test} from 'vitest';
import {colorsWanted} from '../../src/commands/colors.ts';

test.each([
  [{}, true, true, true],
  [{}, true, false, false],
  [{}, true, undefined, false],
  [{NO_COLOR: '1'}, true, true, false],
  [{NO_COLOR: ''}, true, true, true],
  [{FORCE_COLOR: '1'}, true, false, true],
  [{FORCE_COLOR: '0'}, true, true, false],
  [{FORCE_COLOR: '1', NO_COLOR: '1'}, true, false, true],
  [{FORCE_COLOR: '1'}, false, true, false],
  [{TERM: 'dumb'}, true, true, false],
])('%j, --color %s, terminal %s: %s', (env, color, isTTY, wanted) => {
  expect(colorsWanted({env, flags: {color}, isTTY})).toBe(wanted);
});
