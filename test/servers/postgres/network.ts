import {connect, createServer, type Server, type Socket} from 'node:net';

/**
 * A network between bkp and a server that a test can break. Everything that the client sends is counted in pieces, as
 * the socket delivers them: about one for each statement.
 */
export class Network {
  /** Pieces that the client has sent since the beginning, on all connections. */
  pieces = 0;
  /** Every connection is cut before this piece reaches the server, once. */
  cutAt = Number.POSITIVE_INFINITY;
  /** Every connection is cut once the server has sent this many bytes in all. */
  cutAfterBytes = Number.POSITIVE_INFINITY;
  /** Delays everything in both directions. */
  delayMs = 0;
  bytes = 0;
  readonly #open = new Set<Socket>();
  readonly #server: Server;
  #isSilent = false;
  #waiting: (() => void)[] = [];

  private constructor(target: () => number) {
    this.#server = createServer((client) => {
      const server = connect(target(), '127.0.0.1');
      for (const socket of [client, server]) {
        this.#open.add(socket);
        socket.on('error', () => {}).on('close', () => this.#open.delete(socket));
      }
      this.#pass(client, server, () => {
        this.pieces += 1;
        if (this.pieces === this.cutAt) this.cut();
      });
      this.#pass(server, client, (bytes) => {
        this.bytes += bytes.length;
        if (this.bytes < this.cutAfterBytes) return;
        this.cutAfterBytes = Number.POSITIVE_INFINITY;
        this.cut();
      });
    });
  }

  static async start(target: () => number): Promise<Network> {
    const network = new Network(target);
    await new Promise<void>((done) => network.#server.listen(0, '127.0.0.1', done));
    return network;
  }

  get port(): number {
    return (this.#server.address() as {port: number}).port;
  }

  /** Ends every connection; new ones work. */
  cut(): void {
    for (const socket of this.#open) socket.destroy();
  }

  /** Accepts what both sides send and passes nothing on: no error is visible to either. */
  silence(isSilent = true): void {
    this.#isSilent = isSilent;
    if (isSilent) return;
    for (const passOn of this.#waiting.splice(0)) passOn();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #pass(from: Socket, to: Socket, count: (bytes: Buffer) => void): void {
    from.on('data', (bytes: Buffer) => {
      count(bytes);
      if (from.destroyed) return;
      const passOn = () => {
        if (!to.destroyed) to.write(bytes);
      };
      if (this.#isSilent) this.#waiting.push(passOn);
      else if (this.delayMs > 0) setTimeout(passOn, this.delayMs);
      else passOn();
    });
    // A connection that ends while the network is silent ends for one side only.
    from.on('close', () => {
      if (!this.#isSilent) to.end();
    });
  }
}
