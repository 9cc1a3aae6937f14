import {execFileSync} from 'node:child_process';
import {mkdirSync, rmSync, statfsSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {onTestFinished} from 'vitest';

/** Only root may mount; for other users the tests that need a small disk are skipped. */
export const mayMount = process.platform === 'linux' && process.getuid?.() === 0 && canMount();

export type SmallDisk = {
  folder: string;
  /** Fills the disk until this many bytes are free; `undefined` removes the filling. */
  leave: (freeBytes: number | undefined) => void;
  readOnly: (on: boolean) => void;
};

/** A separate file system in memory, removed after the test. */
export function smallDisk(folder: string, sizeBytes: number): SmallDisk {
  mkdirSync(folder, {recursive: true});
  mount('-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', folder);
  onTestFinished(() => unmount(folder));
  const filling = join(folder, 'filling');
  return {
    folder,
    leave: (freeBytes) => {
      rmSync(filling, {force: true});
      if (freeBytes === undefined) return;
      const {bavail, bsize} = statfsSync(folder);
      writeFileSync(filling, Buffer.alloc(Math.max(0, bavail * bsize - freeBytes)));
    },
    readOnly: (on) => whenIdle(() => mount('-o', `remount,${on ? 'ro' : 'rw'}`, folder)),
  };
}

/** A file system becomes read-only when no process has a file open for writing: a worker may be about to end. */
function whenIdle(remount: () => void): void {
  for (let tries = 1; ; tries++) {
    try {
      remount();
      return;
    } catch (error) {
      if (tries === 100) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    }
  }
}

function canMount(): boolean {
  const folder = `/tmp/bkp-mount-${process.pid}`;
  mkdirSync(folder);
  try {
    mount('-t', 'tmpfs', '-o', 'size=4096', 'tmpfs', folder);
    unmount(folder);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

function mount(...args: string[]): void {
  execFileSync('mount', args, {stdio: 'ignore'});
}

/** A lazy unmount, because a worker of a failed test may still use it. */
function unmount(folder: string): void {
  execFileSync('umount', ['-l', folder], {stdio: 'ignore'});
}
