/** A notice for backups of a database whose journal is not a WAL. */
export const writersWait =
  'the database is not in WAL mode: writers wait while this backup reads; PRAGMA journal_mode = WAL changes that';
