export type ServerName =
  | 'minio'
  | 'versitygw'
  | 'toxiproxy'
  | 'age'
  | 'moto'
  | 'rclone'
  | 'postgres'
  | 'postgres15'
  | 'pgbouncer';

/** Where `node scripts/servers.js` puts the program of that name, built or not. */
export function serverFile(name: ServerName): string;

/** Folder of the programs of PostgreSQL 15, 16 or 18, built or not. That of 15 has no pg_dump. */
export function postgresPrograms(major: 15 | 16 | 18): string;
