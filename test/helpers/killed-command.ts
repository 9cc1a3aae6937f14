import {execFile} from 'node:child_process';
import {cpSync, mkdtempSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {build} from 'rolldown';
import {bareEnv} from './bkp.ts';
import type {Desk} from './desk.ts';

/** A command of bkp that is killed at chosen calls of its store, as one file that starts fast. */
export type KillableCommand = {
  /** @returns the number of store calls, undefined if it was killed */
  run: (desk: Desk, env: Record<string, string>, args: readonly string[], at: number) => Promise<number | undefined>;
  remove: () => void;
};

export async function buildKillableCommand(): Promise<KillableCommand> {
  const folder = mkdtempSync(join(import.meta.dirname, '.crash-'));
  const script = join(folder, 'crashing-command.js');
  await build({
    input: join(import.meta.dirname, 'crashing-command.ts'),
    platform: 'node',
    external: (id) => !/^[./]/.test(id) && !id.startsWith('/'),
    output: {file: script, format: 'esm', codeSplitting: false},
    logLevel: 'silent',
  });
  return {
    run: async ({home, database, cluster, folder: cwd}, env, args, at) => {
      try {
        const {stdout} = await promisify(execFile)(process.execPath, [script, String(at), ...args], {
          env: bareEnv({home, env: {BKP_SOURCE: database, BKP_CLUSTER: cluster, ...env}}),
          cwd,
        });
        return Number(stdout.trim().split('\n').at(-1));
      } catch (error) {
        if ((error as {signal?: string}).signal === 'SIGKILL') return undefined;
        throw error;
      }
    },
    remove: () => rmSync(folder, {recursive: true, force: true}),
  };
}

/** @returns a function that puts home and cluster back as they are now */
export function keptDesk(desk: Desk): () => void {
  const parts = ['home', 'cluster'];
  const kept = join(desk.folder, 'kept');
  const copy = (from: string, to: string) => {
    for (const part of parts) cpSync(join(from, part), join(to, part), {recursive: true});
  };
  copy(desk.folder, kept);
  return () => {
    desk.remove(...parts);
    copy(kept, desk.folder);
  };
}
