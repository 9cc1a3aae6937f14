import {freePort, type ServerProcess, startServer} from './process.ts';

/** Faults between client and server; times in milliseconds, sizes in bytes, rates in KB/s. */
export type Toxic =
  | {type: 'latency'; attributes: {latency: number; jitter?: number}}
  | {type: 'bandwidth'; attributes: {rate: number}}
  | {type: 'slicer'; attributes: {average_size: number; size_variation?: number; delay: number /* µs */}}
  | {type: 'slow_close'; attributes: {delay: number}}
  /** 0: no data passes, and the connection stays open. */
  | {type: 'timeout'; attributes: {timeout: number}}
  | {type: 'reset_peer'; attributes: {timeout: number}}
  /** The connection ends after this number of bytes. */
  | {type: 'limit_data'; attributes: {bytes: number}};

export type ToxicOptions = {
  /** `upstream`: data from the client. Default `downstream`. */
  stream?: 'upstream' | 'downstream';
  /** The affected share of connections, 0 to 1. Default 1. */
  toxicity?: number;
};

export type FaultyLine = {
  /** Used instead of the server's. */
  endpoint: string;
  add: (toxic: Toxic, options?: ToxicOptions) => Promise<void>;
  /** Off: new connections are refused, and open ones are closed. */
  enabled: (on: boolean) => Promise<void>;
  /** Removes all faults; closed connections stay closed. */
  heal: () => Promise<void>;
};

export type Toxiproxy = ServerProcess & {line: (server: {port: number}) => Promise<FaultyLine>};

export async function startToxiproxy(): Promise<Toxiproxy> {
  const server = await startServer({
    name: 'toxiproxy',
    args: (port) => ['-host', '127.0.0.1', '-port', String(port)],
    isReady: async (port) => (await fetch(`http://127.0.0.1:${port}/version`)).ok,
  });
  const call = async (method: string, path: string, body?: unknown) => {
    const reply = await fetch(`http://127.0.0.1:${server.port}${path}`, {
      method,
      ...(body === undefined ? {} : {body: JSON.stringify(body)}),
    });
    if (!reply.ok) throw new Error(`toxiproxy: ${method} ${path}: ${reply.status} ${await reply.text()}`);
    return (await reply.text()) || '[]';
  };
  return {
    ...server,
    line: async (upstream) => {
      const port = await freePort();
      const name = `line-${port}`;
      const path = `/proxies/${name}`;
      const listen = `127.0.0.1:${port}`;
      await call('POST', '/proxies', {name, listen, upstream: `127.0.0.1:${upstream.port}`, enabled: true});
      let toxics = 0;
      return {
        endpoint: `http://${listen}`,
        add: async ({type, attributes}, {stream = 'downstream', toxicity = 1} = {}) => {
          await call('POST', `${path}/toxics`, {name: `toxic-${++toxics}`, type, stream, toxicity, attributes});
        },
        enabled: async (on) => void (await call('POST', path, {enabled: on})),
        heal: async () => {
          await call('POST', path, {enabled: true});
          const standing = JSON.parse(await call('GET', `${path}/toxics`)) as {name: string}[];
          for (const toxic of standing) await call('DELETE', `${path}/toxics/${toxic.name}`);
        },
      };
    },
  };
}
