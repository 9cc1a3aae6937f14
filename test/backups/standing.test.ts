import {expect, test} from 'vitest';
import {lineStanding, type Standing, standingOf} from '../../src/backups/index.ts';
import {BkpError, type ErrorCode} from '../../src/errors/index.ts';

const survey = {faultOf: async () => undefined};
const failing = (code: ErrorCode) => async () => {
  throw new BkpError(code, 'why');
};

test('a backup with a readable manifest is damaged if the survey knows of a fault, and sound if not', async () => {
  const read = async () => ({backup: 'b', streams: []});
  expect(await standingOf(survey, read)).toEqual({state: 'sound', backup: 'b'});
  const fault = new BkpError('OBJECT_MISSING', 'a pack is missing');
  expect(await standingOf({faultOf: async () => fault}, read)).toEqual({state: 'damaged', backup: 'b', fault});
});

test.each([
  ['OBJECT_MISSING', 'damaged'],
  ['OBJECT_DAMAGED', 'damaged'],
  ['STORE_REFUSED', 'future'],
  ['STORE_UNAVAILABLE', 'unknown'],
] as const)('a manifest whose reading fails with %s makes the backup %s', async (code, state) => {
  expect(await standingOf(survey, failing(code))).toMatchObject({state, fault: {code}});
});

test('an error of our own is thrown, not taken for a fault of the backup', async () => {
  const read = async () => {
    throw new TypeError('ours');
  };
  await expect(standingOf(survey, read)).rejects.toThrow(TypeError);
});

const fault = new BkpError('OBJECT_DAMAGED', 'why');

test('a line counts damaged and future backups, and names the newest sound and the newest verified one', async () => {
  const states: Record<string, Standing<string>> = {
    a: {state: 'sound', backup: 'a'},
    b: {state: 'sound', backup: 'b'},
    c: {state: 'future', fault},
    d: {state: 'damaged', backup: 'd', fault},
  };
  const verifiedMs = async (backup: string) => (backup === 'b' ? undefined : 7);
  const line = await lineStanding(Object.keys(states), async (name) => states[name]!, verifiedMs);
  expect(line).toEqual({backups: 4, unreadable: 2, newest: 'b', newestVerified: {backup: 'a', verifiedMs: 7}});
  expect(await lineStanding([], async () => states.a!, verifiedMs)).toEqual({backups: 0, unreadable: 0});
});

test('a line with a backup of unknown standing has no standing', async () => {
  const examine = async (): Promise<Standing<string>> => ({state: 'unknown', fault});
  await expect(lineStanding(['a'], examine, async () => 1)).rejects.toBe(fault);
});
