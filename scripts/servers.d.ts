export type ServerName = 'minio' | 'versitygw' | 'toxiproxy' | 'rclone';

/** Where `node scripts/servers.js` puts the program of that name, built or not. */
export function serverFile(name: ServerName): string;
