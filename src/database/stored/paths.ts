/** Longer ones no file system takes; both in bytes of UTF-8. */
const longestPath = 4096;
const longestPart = 255;

/** True for what leads to a file below a root on every system: parts joined by single `/`, none of them `.` or `..`. */
export function isInnerPath(path: string): boolean {
  // A file list may come from another system than the one it is restored on.
  if (path.includes('\0') || path.includes('\\') || /^[A-Za-z]:/.test(path)) return false;
  const parts = path.split('/');
  const isPart = (part: string) =>
    part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= longestPart;
  return Buffer.byteLength(path) <= longestPath && parts.every(isPart);
}

/** @throws `refuse(…)` for a path that leads out of its root, comes twice, or lies below a file */
export function requirePaths(files: readonly {path: string}[], refuse: (message: string) => Error): void {
  const known = new Set<string>();
  for (const {path} of files) {
    if (!isInnerPath(path)) throw refuse(`path ${JSON.stringify(path)} does not lie below the root`);
    if (known.has(path)) throw refuse(`path ${JSON.stringify(path)} is there twice`);
    known.add(path);
  }
  for (const {path} of files) {
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      if (known.has(path.slice(0, slash))) throw refuse(`path ${JSON.stringify(path)} lies below a file`);
    }
  }
}
