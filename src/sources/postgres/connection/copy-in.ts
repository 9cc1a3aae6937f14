import {once} from 'node:events';
import type {Submittable} from 'pg';

type Wire = {
  stream: NodeJS.WritableStream & {cork(): void; uncork(): void; destroyed: boolean};
  query(text: string): void;
  endCopyFrom(): void;
  sendCopyFail(reason: string): void;
};

const copyData = 0x64;

/** `COPY … FROM STDIN`: sends each piece as one message, and waits while the socket is full. */
export class CopyIn implements Submittable {
  /** Resolves to the rows that the server loaded. */
  readonly done: Promise<number>;
  readonly #text: string;
  readonly #pieces: AsyncIterable<Uint8Array>;
  #rows = 0;
  #end!: (rows: number) => void;
  #fail!: (error: unknown) => void;
  #isOver = false;
  /** The first error: the server's answer to it is another one. */
  #fault: unknown;

  constructor(text: string, pieces: AsyncIterable<Uint8Array>) {
    this.#text = text;
    this.#pieces = pieces;
    this.done = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
  }

  submit(connection: unknown): void {
    (connection as Wire).query(this.#text);
  }

  handleCopyInResponse(connection: unknown): void {
    const wire = connection as Wire;
    this.#send(wire).catch((error: unknown) => {
      this.#fault = error;
      if (!wire.stream.destroyed) wire.sendCopyFail('bkp could not read the rows');
    });
  }

  async #send(wire: Wire): Promise<void> {
    const {stream} = wire;
    for await (const piece of this.#pieces) {
      if (this.#isOver) return;
      const header = Buffer.alloc(5);
      header[0] = copyData;
      header.writeUInt32BE(piece.length + 4, 1);
      stream.cork();
      stream.write(header);
      // The socket may keep the memory after this returns, and the caller uses it again.
      const isFree = stream.write(Buffer.from(piece));
      stream.uncork();
      if (!isFree && !stream.destroyed) await this.#untilFree(stream);
    }
    if (!this.#isOver) wire.endCopyFrom();
  }

  async #untilFree(stream: Wire['stream']): Promise<void> {
    const over = new AbortController();
    const first = (event: string) => once(stream, event, {signal: over.signal});
    try {
      await Promise.race([first('drain'), first('close'), this.done.catch(() => {})]);
    } finally {
      // Otherwise each piece would leave listeners on the connection.
      over.abort();
    }
  }

  handleCommandComplete({text}: {text: string}): void {
    this.#rows = Number(/^COPY (\d+)$/u.exec(text)?.[1] ?? 0);
  }

  handleReadyForQuery(): void {
    this.#isOver = true;
    this.#end(this.#rows);
  }

  handleError(error: Error): void {
    this.#isOver = true;
    this.#fail(this.#fault ?? error);
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
  handleCopyData(): void {}
}
