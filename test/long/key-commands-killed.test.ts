import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {openDirectoryStore} from '../../src/stores/index.ts';
import {changeKeys, mendKeys, newKey, parseSecret, readHeader, unlock} from '../../src/vault/index.ts';
import {type Desk, openDesk} from '../helpers/desk.ts';
import {buildKillableCommand, type KillableCommand, keptDesk} from '../helpers/killed-command.ts';

const timeoutMs = 600_000;

/** Keys instead of passwords, so that no process waits for a derivation. */
const [mine, theirs, fresh] = [newKey().code, newKey().code, newKey().code];
const secret = {BKP_PASSWORD: mine};

let command: KillableCommand;
beforeAll(async () => {
  command = await buildKillableCommand();
});
afterAll(() => command.remove());

async function unlocked(desk: Desk, code: string) {
  const store = await openDirectoryStore({root: desk.cluster, create: false});
  const {id: vault} = (await readHeader(store))!;
  return {store, vault, from: await unlock(store, parseSecret(code), {vault})};
}

/** Generation of the newest ring, if the secret opens it. */
async function opens(desk: Desk, code: string): Promise<number | undefined> {
  try {
    return (await unlocked(desk, code)).from.ring.keys.generation;
  } catch (error) {
    expect(error).toMatchObject({code: 'SECRET_WRONG'});
    return undefined;
  }
}

/** Whoever can open the vault can change its keys again; then nothing is left of the change that was killed. */
async function expectChangeable(desk: Desk, code: string): Promise<void> {
  const {store, vault, from} = await unlocked(desk, code);
  const {ring} = await changeKeys({store, nowMs: 0}, from, {rotate: {data: true, meta: true}});
  await mendKeys(store, vault, {ring});
  const present = new Set(desk.storedKeys().filter((key) => key.startsWith('keys/')));
  for (const key of [...present].filter((one) => !one.startsWith('keys/spare/'))) {
    expect(present).toContain(key.replace('keys/', 'keys/spare/'));
  }
  const slots = [...present].filter((key) => key.startsWith('keys/slots/')).map((key) => key.slice(11));
  expect(slots.sort()).toEqual(ring.slots.map(({id}) => id).sort());
}

/** Kills the command before each of its store calls. @param check the state after each kill, and after none */
async function killedAnywhere(
  args: readonly string[],
  check: (desk: Desk, context: string) => Promise<void>,
  prepare: (desk: Desk) => Promise<void> = async () => {},
) {
  const desk = openDesk('', secret);
  expect((await desk.bkp('vault', 'create', '--encrypt')).status).toBe(0);
  const file = (name: string, text: string) => writeFileSync(join(desk.folder, name), `${text}\n`);
  file('theirs', theirs);
  file('fresh', fresh);
  expect((await desk.bkp('vault', 'key', 'add', '--password-file', 'theirs', '--label', 'theirs')).status).toBe(0);
  await prepare(desk);
  const putBack = keptDesk(desk);
  for (let at = 1; ; at++) {
    putBack();
    desk.remove('new-key');
    const calls = await command.run(desk, secret, ['vault', 'key', ...args], at);
    await check(desk, `killed at call ${at}`);
    await expectChangeable(desk, (await opens(desk, mine)) === undefined ? fresh : mine);
    if (calls !== undefined) return;
  }
}

test(
  'a key whose addition was killed opens the vault if it counts, and its file is there',
  async () => {
    await killedAnywhere(['add', '--key-file', 'new-key'], async (desk, context) => {
      expect(await opens(desk, mine), context).toBeDefined();
      expect(await opens(desk, theirs), context).toBeDefined();
      const path = join(desk.folder, 'new-key');
      const generation = existsSync(path) ? await opens(desk, readFileSync(path, 'utf8').trim()) : undefined;
      expect(generation, context).toBe((await opens(desk, mine)) === 3 ? 3 : undefined);
    });
  },
  timeoutMs,
);

test(
  'a removal that was killed leaves a slot that opens, or one that does not',
  async () => {
    await killedAnywhere(['remove', 'theirs'], async (desk, context) => {
      const generation = await opens(desk, mine);
      expect(await opens(desk, theirs), context).toBe(generation === 3 ? undefined : generation);
    });
  },
  timeoutMs,
);

test(
  'a change of password that was killed leaves the vault open to exactly one of the two',
  async () => {
    await killedAnywhere(['passwd', '--password-file', 'fresh', '--rotate'], async (desk, context) => {
      const outcomes = [await opens(desk, mine), await opens(desk, fresh)];
      expect([JSON.stringify([2, null]), JSON.stringify([null, 3])], context).toContain(
        JSON.stringify(outcomes.map((generation) => generation ?? null)),
      );
      expect(await opens(desk, theirs), context).toBeDefined();
    });
  },
  timeoutMs,
);

test(
  'a rotation that was killed leaves the vault open to everybody',
  async () => {
    await killedAnywhere(['rotate'], async (desk, context) => {
      for (const code of [mine, theirs]) expect(await opens(desk, code), context).toBeDefined();
    });
  },
  timeoutMs,
);

test(
  'keys whose forgetting was killed are in the ring, or nowhere after the next change',
  async () => {
    const rings: (number | undefined)[] = [];
    await killedAnywhere(
      ['forget'],
      async (desk, context) => {
        rings.push(await opens(desk, mine));
        expect(await opens(desk, theirs), context).toBe(rings.at(-1));
        const {data} = (await unlocked(desk, mine)).from.ring.keys;
        expect(data.length, context).toBe(rings.at(-1) === 4 ? 1 : 2);
        const {stdout, stderr, status} = await desk.bkp('vault', 'key', 'forget', '--format', 'json');
        expect(status, `${context}: ${stderr}`).toBe(0);
        expect(JSON.parse(stdout), context).toMatchObject({generation: 4, complete: true});
        expect(desk.storedKeys().filter((key) => key.includes('rings/'))).toHaveLength(2);
      },
      async (desk) => void (await desk.bkp('vault', 'key', 'rotate')),
    );
    expect(new Set(rings)).toEqual(new Set([3, 4]));
  },
  timeoutMs,
);

test(
  'an import that was killed is ended by the next one',
  async () => {
    await killedAnywhere(
      ['import', 'keys.json'],
      async (desk, context) => {
        const {stderr, status} = await desk.bkp('vault', 'key', 'import', 'keys.json');
        expect(status, `${context}: ${stderr}`).toBe(0);
        for (const code of [mine, theirs]) expect(await opens(desk, code), context).toBe(2);
      },
      async (desk) => {
        expect((await desk.bkp('vault', 'key', 'export', 'keys.json')).status).toBe(0);
        desk.remove('cluster/keys');
      },
    );
  },
  timeoutMs,
);
