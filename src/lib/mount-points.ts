/**
 * The second field of each line of fstab(5) or proc_pid_mounts(5); spaces and other special characters are escaped in
 * octal there.
 */
export function mountPoints(table: string): string[] {
  return table
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .map((line) => line.trim().split(/\s+/)[1] ?? '')
    .filter((point) => point.startsWith('/'))
    .map((point) => point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))))
    .map((point) => (point.length > 1 ? point.replace(/\/+$/, '') : point));
}
