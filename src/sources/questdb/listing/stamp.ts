import {readFileSync} from 'node:fs';
import {statfs} from 'node:fs/promises';

/**
 * File systems on which an unchanged file can be recognised; docs/questdb.md has the argument. It requires that the
 * first write to a mapped page after a sync sets the file's times, as on ext2/3/4, XFS and Btrfs; tmpfs never sets
 * them. Numbers: statfs(2).
 */
const fileSystems: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e]);

/**
 * The kernel sets the times of a file to its last tick, which was up to 15 ms in the past on a busy machine, and before
 * it lets the write happen: up to 184 ms before, when the disk was busy (docs/questdb.md). A longer time would make
 * frequent backups read more.
 */
export const settleMicros = 1_000_000;

/** How far the times of files may be behind the clock: up to 15 ms were measured (docs/questdb.md). */
export const tickMicros = 20_000;

/** The part of a file's status that a stamp is built from. */
export type FileTimes = {ino: bigint; size: bigint; mtimeNs: bigint; ctimeNs: bigint};

/**
 * Returns the stamp of a file; undefined: it must be read.
 * @param version see `version.ts`
 */
export type Stamper = (times: FileTimes, validBytes: number, version: string | undefined) => string | undefined;

/**
 * @param settledAtMicros a time before a sync of the whole machine: the checkpoint's `started_at`. For a stopped
 * server: now, because it has no mappings any more
 * @param options.boot identifies this start of the machine; undefined where the system has no such id
 * @param options.certain whether the file system records every write
 * @param options.isLive the server is running
 */
export function stamper(
  settledAtMicros: number,
  {boot, certain, isLive}: {boot: string | undefined; certain: boolean; isLive: boolean},
): Stamper {
  if (!certain || boot === undefined) return () => undefined;
  const isSettled = settled(settledAtMicros);
  return ({ino, size, mtimeNs, ctimeNs}, validBytes, version) => {
    if (!isSettled({mtimeNs, ctimeNs}) || (isLive && version === undefined)) return undefined;
    // `validBytes` too: uncommitted rows become valid without a write to the file.
    const numbers = [ino, size, mtimeNs, ctimeNs, validBytes].map((part) => part.toString(36));
    return [boot, ...numbers, version ?? ''].join('.');
  };
}

/** Whether a file was last written before that time; reliable only on file systems that record every write. */
export function settled(settledAtMicros: number): (times: Pick<FileTimes, 'mtimeNs' | 'ctimeNs'>) => boolean {
  const before = BigInt(settledAtMicros - settleMicros) * 1000n;
  return ({mtimeNs, ctimeNs}) => mtimeNs < before && ctimeNs < before;
}

/** Whether the file system of the folder sets a file's times at every first write to a mapped page. */
export async function recordsMappedWrites(folder: string): Promise<boolean> {
  return fileSystems.has((await statfs(folder)).type);
}

/**
 * After a power failure a page on the disk may be newer than the times of its file, so stamps are valid only until a
 * reboot.
 * @returns undefined on systems other than Linux
 */
export function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().slice(0, 8);
  } catch {
    return undefined;
  }
}
