import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished} from 'vitest';

export const readerPath = join(import.meta.dirname, '..', '..', 'bin', 'bkp-reader.mjs');

export type Run = {status: number | null; stdout: string; stderr: string};

/** Runs bin/bkp-reader.mjs as a user does. */
export const read = (...args: readonly string[]): Run => readWith({}, ...args);

export function readWith(environment: Record<string, string>, ...args: readonly string[]): Run {
  const env = {...process.env, ...environment};
  const {status, stdout, stderr} = spawnSync(process.execPath, [readerPath, ...args], {encoding: 'utf8', env});
  return {status, stdout, stderr};
}

export function succeeds(...args: readonly string[]): Run {
  const run = read(...args);
  expect(run, run.stderr).toMatchObject({status: 0});
  return run;
}

/** A folder that is removed when the test is over. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'bkp-reader-'));
  onTestFinished(() => rmSync(path, {recursive: true, force: true}));
  return path;
}

export const fixturePath = (name: string) => join(import.meta.dirname, '..', 'fixtures', name);

/** The content of a committed vault, as contentOfVault returned it when the vault was made. */
export type Content = {
  backups: Record<string, {tables: unknown}>;
  databases: Record<string, {files: Record<string, string>}>;
};

export const fixtureOf = (name: string) => ({
  name,
  store: join(fixturePath(name), 'store'),
  content: JSON.parse(readFileSync(join(fixturePath(name), 'content.json'), 'utf8')) as Content,
});
