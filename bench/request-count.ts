import {connect, createServer, type Server} from 'node:net';

export type RequestCounter = {
  port: number;
  /** Requests since the last call: the method, and the part of the path that identifies the kind of object. */
  take: () => Map<string, number>;
  close: () => Promise<void>;
};

/**
 * A proxy before an S3 server that counts requests by their first line; a client sends a request after the
 * previous response.
 */
export async function countRequests(serverPort: number): Promise<RequestCounter> {
  let counts = new Map<string, number>();
  const server: Server = createServer((client) => {
    const upstream = connect(serverPort, '127.0.0.1');
    client.on('data', (bytes: Buffer) => {
      const line = /^(GET|PUT|HEAD|POST|DELETE) (\S+) HTTP\/1\.1\r\n/.exec(bytes.subarray(0, 2048).toString('latin1'));
      if (line !== null) {
        const name = `${line[1]} ${meaning(line[2]!)}`;
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
    });
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) socket.on('error', () => socket.destroy());
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the counter has no port');
  return {
    port: address.port,
    take: () => {
      const taken = counts;
      counts = new Map();
      return taken;
    },
    close: () => new Promise((done) => server.close(() => done())),
  };
}

/** `packs/…`, `list`, `locks/…`: without ids and names of backups. */
function meaning(target: string): string {
  const [path, query = ''] = target.split('?');
  if (query.includes('list-type')) return 'list';
  if (query.includes('delete')) return 'several at once';
  const key = decodeURIComponent(path!).split('/').slice(2).join('/');
  if (key.endsWith('manifest')) return 'manifest';
  if (key.includes('/definition/')) return 'definition';
  const first = key.split('/')[0]!;
  return key === first ? key : `${first}/…`;
}
