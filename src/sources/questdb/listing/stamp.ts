import {readFileSync} from 'node:fs';
import {statfs} from 'node:fs/promises';

/**
 * The rule of skipping, whose argument is in docs/questdb.md. It needs that the first write to a mapped page after a sync sets
 * the file's times, which holds for ext2/3/4, XFS and Btrfs; tmpfs for one never sets them. Numbers: statfs(2).
 */
const fileSystems: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e]);

/** Times of files are taken from the kernel's last tick, up to 10 ms before now (CONFIG_HZ=100). Twice that is allowed. */
const settleMicros = 20_000;

/** What of a file's status the rule looks at. */
export type FileTimes = {ino: bigint; size: bigint; mtimeNs: bigint; ctimeNs: bigint};

/** Makes stamps for the files of one reading. */
export type Stamper = (times: FileTimes, validBytes: number) => string | undefined;

/**
 * @param settledAtMicros the moment after which every write was preceded by a sync of the whole machine: the checkpoint's
 *   `started_at`. For a stopped server: now, because none of its mappings is left
 * @param boot what tells this start of the machine from others; undefined where nothing does
 */
export function stamper(settledAtMicros: number, boot: string | undefined, certain: boolean): Stamper {
  if (!certain || boot === undefined) return () => undefined;
  const isSettled = settled(settledAtMicros);
  return (times, validBytes) => {
    if (!isSettled(times)) return undefined;
    const {ino, size, mtimeNs, ctimeNs} = times;
    // `validBytes` too: rows that lay there uncommitted become valid without a write to the file.
    return [boot, ino, size, mtimeNs, ctimeNs, validBytes].map((part) => part.toString(36)).join('.');
  };
}

/** Tells files that were not written since before that moment, on a file system for which the rule holds. */
export function settled(settledAtMicros: number): (times: FileTimes) => boolean {
  const before = BigInt(settledAtMicros - settleMicros) * 1000n;
  return ({mtimeNs, ctimeNs}) => mtimeNs < before && ctimeNs < before;
}

/** Whether the folder's file system is one for which the rule holds. */
export async function tellsOfMappedWrites(folder: string): Promise<boolean> {
  return fileSystems.has((await statfs(folder)).type);
}

/**
 * After a power cut a page may be newer on the disk than its file's times. So no stamp outlives the machine's start.
 * @returns undefined on systems other than Linux
 */
export function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().slice(0, 8);
  } catch {
    return undefined;
  }
}
