import {readdirSync, readFileSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {zstdDecompressSync} from 'node:zlib';

/** Files below a folder, without those that vanish meanwhile. */
export const filesIn = (folder: string): string[] =>
  readdirSync(folder, {recursive: true, encoding: 'utf8'})
    .map((name) => join(folder, name))
    .filter((path) => statSync(path, {throwIfNoEntry: false})?.isFile());

/** What zstd finds anywhere in the bytes: a value in it is no more secret than beside it. */
export function framesIn(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = bytes.indexOf('28b52ffd', 0, 'hex'); at >= 0; at = bytes.indexOf('28b52ffd', at + 1, 'hex')) {
    try {
      frames.push(zstdDecompressSync(bytes.subarray(at)));
    } catch {
      // Not a frame.
    }
  }
  return frames;
}

/** Files whose name or content has one of the words, in any case, also in frames of zstd. */
export function holding(folder: string, words: readonly string[]): string[] {
  const wanted = words.map((word) => word.toLowerCase());
  return filesIn(folder).filter((path) => {
    let bytes: Buffer;
    try {
      bytes = readFileSync(path);
    } catch {
      // It has gone.
      return false;
    }
    const contents = [bytes, ...framesIn(bytes)];
    // A text of two bytes a character begins at any byte.
    const shapes = (part: Buffer) => [part.toString('latin1'), part.toString('utf16le'), part.toString('utf16le', 1)];
    const texts = [path.slice(folder.length), ...contents.flatMap(shapes)];
    return texts.some((text) => wanted.some((word) => text.toLowerCase().includes(word)));
  });
}

/** A secret as it is, and as it would be in other encodings. */
export function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [secret, bytes.toString('hex'), bytes.toString('base64').replace(/=+$/, ''), encodeURIComponent(secret)];
}

/**
 * Looks at the arguments and the environment of processes while they run.
 * @param isWatched by the arguments, joined by NUL
 * @param words a function, because some are known only later
 */
export function watchProcesses(isWatched: (line: string) => boolean, words: () => readonly string[]) {
  const seen = new Set<string>();
  const leaks = new Set<string>();
  const timer = setInterval(() => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        if (!isWatched(line)) continue;
        seen.add(pid);
        const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
        if (words().some((word) => `${line}${environment}`.includes(word))) leaks.add(line);
      } catch {
        // It has ended.
      }
    }
  }, 10);
  return {
    end() {
      clearInterval(timer);
      return {count: seen.size, leaks: [...leaks]};
    },
  };
}
