import {cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {beforeEach, expect, test, vi} from 'vitest';
import {backupsOf, createC, type Desk, openDesk} from '../helpers/desk.ts';
import {type Direct, runDirectly} from '../helpers/run-directly.ts';
import {makeAllReadable, makeUnreadable} from '../helpers/unreadable-files.ts';

vi.mock('../../src/lib/files.ts', async (original) => {
  const {withUnreadable} = await import('../helpers/unreadable-files.ts');
  return withUnreadable(await original());
});
beforeEach(makeAllReadable);

// Each kind of object is damaged and removed in turn. What must hold every time: no wrong row is ever restored,
// VERIFY names the affected backup and table, and after a new full backup everything is intact again.

const rows = (desk: Desk, file?: string) => desk.all('SELECT * FROM orders ORDER BY id', file);

/** Restores into a new database; undefined if the restore is refused. */
async function restored(desk: Desk, statement: string): Promise<unknown[] | undefined> {
  const target = join(desk.folder, 'restored.db');
  rmSync(target, {force: true});
  const {run} = runDirectly({...desk, database: target});
  try {
    await run(statement);
  } catch (error) {
    expect(error).toMatchObject({code: expect.stringMatching(/^OBJECT_(DAMAGED|MISSING)$/), next: expect.any(String)});
    expect(statSync(target, {throwIfNoEntry: false})).toBe(undefined);
    return undefined;
  }
  return rows(desk, target);
}

const firstFile = (folder: string): string => {
  const [first] = readdirSync(folder).sort();
  const path = join(folder, first!);
  return statSync(path).isDirectory() ? firstFile(path) : path;
};

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at < 0 ? bytes.length + at : at]! ^= 1;
  writeFileSync(file, bytes);
}

type Kind = {
  file: (cluster: string, backup: string) => string;
  /** Offset of the flipped bit; `unreadable`: the disk does not return the object; absent: the object is removed. */
  at?: number | 'unreadable';
  /** The message of VERIFY; absent: it succeeds. */
  verify?: RegExp;
  restores: boolean;
  /** A statement that must run before a new full backup can be taken. */
  mend?: string;
};

const hurt = /orders, products of c\/\d{14}Z_full: .*packs?/;
const pack: Kind['file'] = (cluster) => firstFile(join(cluster, 'packs'));
const index: Kind['file'] = (cluster) => firstFile(join(cluster, 'index'));
const manifest: Kind['file'] = (cluster, backup) => join(cluster, '.backups/collections/c', backup, 'manifest');
const definition: Kind['file'] = (cluster) => firstFile(join(cluster, '.backups/collections/c/definition'));

const kinds: Record<string, Kind> = {
  'a bit in the rows of a pack': {file: pack, at: 5, verify: hurt, restores: false},
  'a bit in the table of a pack': {file: pack, at: -20, verify: hurt, restores: true},
  'a bit in an index': {file: index, at: 30, verify: /index\/.* is damaged/, restores: true},
  'a bit in a manifest': {file: manifest, at: 40, verify: /c\/\d{14}Z_full: .*manifest is damaged/, restores: false},
  'a bit in a definition': {
    file: definition,
    at: 30,
    verify: /the definition of c: .*definition\/\d{8} is damaged/,
    restores: true,
    mend: createC(true),
  },
  'an unreadable pack': {file: pack, at: 'unreadable', verify: hurt, restores: false},
  'an unreadable index': {file: index, at: 'unreadable', verify: /index\/.* is damaged/, restores: true},
  'an unreadable manifest': {
    file: manifest,
    at: 'unreadable',
    verify: /c\/\d{14}Z_full: .*manifest is damaged/,
    restores: false,
  },
  'an unreadable definition': {
    file: definition,
    at: 'unreadable',
    verify: /the definition of c: .*definition\/\d{8} is damaged/,
    restores: true,
    mend: createC(true),
  },
  'a lost pack': {file: pack, verify: hurt, restores: false},
  'a lost index': {file: index, verify: /no index lists pack/, restores: true},
};

async function expectWell(desk: Desk, {run}: Direct): Promise<void> {
  await run('BACKUP c');
  // The damaged backup may stay damaged; the new one must be intact.
  await run(`VERIFY \`c/${(await backupsOf(desk)).at(-1)}\``);
  expect(await restored(desk, 'RESTORE c')).toEqual(rows(desk));
  desk.exec('UPDATE orders SET number = number + 1');
  await run('BACKUP c INCREMENTAL');
  expect(await restored(desk, 'RESTORE c')).toEqual(rows(desk));
}

test('whichever kind of object is damaged or lost, no wrong row is restored', async () => {
  const desk = openDesk();
  await runDirectly(desk).run(createC(true));
  await runDirectly(desk).run('BACKUP c');
  const [backup] = await backupsOf(desk);
  const before = rows(desk);
  const good = join(desk.folder, 'good');
  cpSync(desk.cluster, good, {recursive: true});
  for (const [name, {file, at, verify, restores, mend}] of Object.entries(kinds)) {
    rmSync(desk.cluster, {recursive: true});
    cpSync(good, desk.cluster, {recursive: true});
    const path = file(desk.cluster, backup!);
    makeAllReadable();
    if (at === undefined) rmSync(path);
    else if (at === 'unreadable') makeUnreadable(path);
    else flip(path, at);
    const {run} = runDirectly(desk);
    const found = await run('VERIFY c').then(
      () => undefined,
      (error) => error,
    );
    expect(found, name).toMatchObject({code: 'DAMAGE_FOUND', details: expect.any(Array)});
    expect(found.details.join('\n'), name).toMatch(verify!);
    expect(await restored(desk, 'RESTORE c'), name).toEqual(restores ? before : undefined);
    const shown = await run('SHOW BACKUPS IN c');
    expect(
      shown.table!.rows.map(([shownName]) => shownName),
      name,
    ).toEqual([backup]);
    if (mend !== undefined) {
      await expect(run('BACKUP c'), name).rejects.toMatchObject({
        code: 'OBJECT_DAMAGED',
        next: expect.stringContaining('CREATE'),
      });
      expect((await run('SHOW BACKUP COLLECTIONS')).table!.rows[0], name).toContain('c');
      await run(mend);
    }
    await expectWell(desk, runDirectly(desk));
    desk.exec('UPDATE orders SET number = number - 1');
  }
});

test('an increment is refused when its base is missing or was found damaged', async () => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  await run(createC(true));
  await run('BACKUP c');
  const path = firstFile(join(desk.cluster, 'packs'));
  const whole = readFileSync(path);
  for (const damage of [() => rmSync(path), () => flip(path, 5)]) {
    damage();
    await run('VERIFY c').catch(() => {});
    desk.exec('UPDATE orders SET number = number + 1');
    await expect(run('BACKUP c INCREMENTAL')).rejects.toMatchObject({
      code: expect.stringMatching(/^OBJECT_/),
      next: expect.stringContaining('full backup'),
    });
    expect(await backupsOf(desk)).toHaveLength(1);
    // After the object is brought back from a copy and verified, the chain continues.
    writeFileSync(path, whole);
    await run('VERIFY c');
  }
  await run('BACKUP c INCREMENTAL');
  expect(await restored(desk, 'RESTORE c')).toEqual(rows(desk));
});

test('a damaged or lost header is reported as such, and a backup with a lost manifest is not listed', async () => {
  const desk = openDesk();
  const {run} = runDirectly(desk);
  await run(createC(false));
  await run('BACKUP c');
  const header = join(desk.cluster, 'bkp.json');
  const whole = readFileSync(header);
  flip(header, 20);
  for (const statement of ['SHOW BACKUPS IN c', 'BACKUP c', 'VERIFY c', 'RESTORE c', createC(false)])
    await expect(run(statement), statement).rejects.toMatchObject({code: 'OBJECT_DAMAGED'});
  rmSync(header);
  // No new vault is created over the packs of an old one.
  for (const statement of ['SHOW BACKUPS IN c', 'BACKUP c', 'VERIFY c', 'RESTORE c', createC(false)])
    await expect(run(statement), statement).rejects.toMatchObject({code: 'OBJECT_MISSING'});
  writeFileSync(header, whole);

  rmSync(manifest(desk.cluster, (await backupsOf(desk))[0]!));
  expect(await backupsOf(desk)).toEqual([]);
  await expect(run('RESTORE c')).rejects.toMatchObject({message: expect.stringContaining('Nothing to restore')});
});

test('doctor does not remove tracking while it cannot read every collection', async () => {
  const desk = openDesk();
  await runDirectly(desk).run(createC(true));
  await runDirectly(desk).run('BACKUP c');
  flip(definition(desk.cluster, ''), 30);
  const doctor = await desk.bkp('doctor', '--repair');
  expect(doctor.stdout).toMatch(/definition\/\d{8} is damaged/);
  expect(desk.column("SELECT name FROM sqlite_schema WHERE name = '_bkp_log_orders'")).toEqual(['_bkp_log_orders']);
});
