export type ServerName = 'minio' | 'versitygw' | 'toxiproxy' | 'rclone' | 'postgres';

/** Where `node scripts/servers.js` puts the program of that name, built or not. */
export function serverFile(name: ServerName): string;

/** Folder of the programs of PostgreSQL 16 or 18, built or not. */
export function postgresPrograms(major: 16 | 18): string;
