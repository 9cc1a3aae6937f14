/**
 * A table whose backup takes long enough to observe it while it runs: about 100 MB that do not compress.
 */
export const slowSchema = `
  CREATE TABLE big (id INTEGER PRIMARY KEY, note, bytes BLOB);
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
  INSERT INTO big SELECT i, NULL, randomblob(1000000) FROM n;
`;
