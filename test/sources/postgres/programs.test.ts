import {chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {findPrograms} from '../../../src/sources/postgres/schema/programs.ts';
import {startProgram} from '../../../src/sources/postgres/schema/run-program.ts';

function folderOfTest(): string {
  const folder = mkdtempSync(join(tmpdir(), 'bkp-programs-'));
  onTestFinished(() => rmSync(folder, {recursive: true}));
  return folder;
}

function program(folder: string, script: string): string {
  mkdirSync(folder, {recursive: true});
  const file = join(folder, 'pg_dump');
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

test('of several programs, the oldest that can read the server is taken', async () => {
  const folder = folderOfTest();
  for (const major of [97, 99, 98]) program(join(folder, `${major}`), `echo "pg_dump (PostgreSQL) ${major}.4"`);
  program(join(folder, 'broken'), 'exit 1');
  const path = ['99', 'missing', 'broken', '97', '98'].map((name) => join(folder, name)).join(':');
  expect(await findPrograms(98, {pgBin: undefined, path})).toEqual({folder: join(folder, '98'), major: 98});
  await expect(findPrograms(98, {pgBin: join(folder, '97'), path})).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: expect.stringContaining('cannot read a server of version 98'),
  });
});

test('a program has ended when all that it printed is there, with its fault if it has one', async () => {
  const folder = folderOfTest();
  const {signal} = new AbortController();
  const good = program(join(folder, 'good'), 'head -c 300000 /dev/zero; echo "a notice" >&2');
  const {stdout, stderr, fault} = await startProgram(good, [], {signal}, {keep: true}).ended;
  expect([stdout.length, stderr, fault]).toEqual([300_000, 'a notice\n', undefined]);
  const bad = program(join(folder, 'bad'), 'exit 3');
  expect((await startProgram(bad, [], {signal}, {keep: true}).ended).fault).toBe(`${bad} ended with exit status 3`);
  const missing = join(folder, 'missing');
  expect((await startProgram(missing, [], {signal}, {keep: true}).ended).fault).toContain('ENOENT');
});

test('a program ends when nobody wants it any more, also if nobody did from the beginning', async () => {
  const folder = folderOfTest();
  const started = join(folder, 'started');
  const file = program(join(folder, 'long'), `echo $$ > ${started}; exec sleep 600`);
  const over = new AbortController();
  const {ended} = startProgram(file, [], {signal: over.signal}, {keep: true});
  await expect.poll(() => readFileSync(started, 'utf8'), {timeout: 30_000}).not.toBe('');
  over.abort();
  expect((await ended).fault).toBe(`${file} ended with SIGTERM`);
  expect((await startProgram(file, [], {signal: over.signal}, {keep: true}).ended).fault).toContain('SIGTERM');
});
