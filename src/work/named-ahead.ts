/** What a backup reports whose name had to follow one of the future. */
export function namedAheadNotice(ahead: string, name: string): string {
  return (
    `the newest backup, ${ahead}, is named after a moment that is yet to come: the clock that named it was ahead, or this ` +
    `machine's is behind. This backup is named ${name}, to come after it; the moment that is kept with it is that of this clock`
  );
}
