/** Limits of file systems, in bytes of UTF-8. */
const longestPath = 4096;
const longestPart = 255;

/** True for a path that is below its root on every system: parts joined by single `/`, none of them `.` or `..`. */
export function isInnerPath(path: string): boolean {
  // A backup may be restored on another system than the one it was taken on.
  if (path.includes('\0') || path.includes('\\') || /^[A-Za-z]:/.test(path)) return false;
  const parts = path.split('/');
  const isPart = (part: string) =>
    part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= longestPart;
  return Buffer.byteLength(path) <= longestPath && parts.every(isPart);
}

/** @throws `refuse(…)` for a path that leads out of its root, occurs twice, or is below a file */
export function requirePaths(files: readonly {path: string}[], refuse: (message: string) => Error): void {
  const known = new Set<string>();
  for (const {path} of files) {
    if (!isInnerPath(path)) throw refuse(`path ${JSON.stringify(path)} is not below the root`);
    if (known.has(path)) throw refuse(`path ${JSON.stringify(path)} occurs twice`);
    known.add(path);
  }
  for (const {path} of files) {
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      if (known.has(path.slice(0, slash))) throw refuse(`path ${JSON.stringify(path)} is below a file`);
    }
  }
}
