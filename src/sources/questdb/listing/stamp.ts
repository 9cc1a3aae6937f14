import {readFileSync} from 'node:fs';
import {statfs} from 'node:fs/promises';

/**
 * File systems on which an unchanged file can be recognised; docs/questdb.md has the argument. It requires that the
 * first write to a mapped page after a sync sets the file's times, as on ext2/3/4, XFS and Btrfs; tmpfs never sets
 * them. Numbers: statfs(2).
 */
const fileSystems: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e]);

/** The kernel sets file times to its last tick, up to 10 ms in the past (CONFIG_HZ=100). This is twice that. */
const settleMicros = 20_000;

/** The part of a file's status that a stamp is built from. */
export type FileTimes = {ino: bigint; size: bigint; mtimeNs: bigint; ctimeNs: bigint};

/** Returns the stamp of a file; undefined: it must be read. */
export type Stamper = (times: FileTimes, validBytes: number) => string | undefined;

/**
 * @param settledAtMicros a time before a sync of the whole machine: the checkpoint's `started_at`. For a stopped
 * server: now, because it has no mappings any more
 * @param boot identifies this start of the machine; undefined where the system has no such id
 * @param certain whether the file system records every write
 */
export function stamper(settledAtMicros: number, boot: string | undefined, certain: boolean): Stamper {
  if (!certain || boot === undefined) return () => undefined;
  const isSettled = settled(settledAtMicros);
  return (times, validBytes) => {
    if (!isSettled(times)) return undefined;
    const {ino, size, mtimeNs, ctimeNs} = times;
    // `validBytes` too: uncommitted rows become valid without a write to the file.
    return [boot, ino, size, mtimeNs, ctimeNs, validBytes].map((part) => part.toString(36)).join('.');
  };
}

/** Whether a file was last written before that time; reliable only on file systems that record every write. */
export function settled(settledAtMicros: number): (times: FileTimes) => boolean {
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
