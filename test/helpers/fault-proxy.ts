import {once} from 'node:events';
import {type AddressInfo, connect, createServer, type Socket} from 'node:net';

/**
 * The fault of connections from now on. It also affects open connections, except `reset`, which is decided when
 * they open.
 */
export type ProxyFault =
  | {kind: 'none'}
  /** They stay open, and no byte passes in either direction. */
  | {kind: 'black hole'}
  /** They are reset as soon as they are opened. */
  | {kind: 'refuse'}
  /** This share of them is reset after a random number of bytes below `withinBytes`, counting both directions. */
  | {kind: 'reset'; share: number; withinBytes: number; random: () => number};

export type FaultProxy = {
  /** Used instead of the server's own. */
  endpoint: string;
  fault: ProxyFault;
  /** Number of connections reset so far. */
  resets: number;
  close(): Promise<void>;
};

/** A TCP proxy in this process that breaks connections to a server; both are on 127.0.0.1. */
export async function startFaultProxy(endpoint: string): Promise<FaultProxy> {
  const upstreamPort = Number(new URL(endpoint).port);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(upstreamPort, '127.0.0.1');
    const pair = [client, upstream];
    const reset = () => {
      proxy.resets += 1;
      for (const socket of pair) socket.resetAndDestroy();
    };
    const {fault} = proxy;
    let bytesLeft = Number.POSITIVE_INFINITY;
    if (fault.kind === 'reset' && fault.random() < fault.share) bytesLeft = fault.random() * fault.withinBytes;
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.on('end', () => to.end());
      from.on('drain', () => to.resume());
      from.on('data', (piece) => {
        if (proxy.fault.kind === 'black hole') return;
        bytesLeft -= piece.length;
        if (bytesLeft <= 0) reset();
        else if (!to.write(piece)) from.pause();
      });
    }
    if (fault.kind === 'refuse') reset();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: FaultProxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fault: {kind: 'none'},
    resets: 0,
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return proxy;
}
