/** A notice about a database whose journal is not a WAL. */
export const writersWait =
  'the database is not in WAL mode: writers wait while bkp reads it; PRAGMA journal_mode = WAL changes that';
