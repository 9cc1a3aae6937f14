import type {Submittable} from 'pg';
import {copyShared} from '../../../lib/memory.ts';
import {giveArea, takeArea} from '../rows/areas.ts';

type Wire = {
  stream: NodeJS.WritableStream & {destroyed: boolean};
  query(text: string): void;
  endCopyFrom(): void;
  sendCopyFail(reason: string): void;
};

const copyData = 0x64;

/** What the socket gets at once: more than it holds, so that the server has work while the next part is copied. */
const partBytes = 512 * 1024;

/**
 * `COPY … FROM STDIN`: sends each piece as one message. A part of it goes to the socket in memory that is used again
 * for the next part, once the socket has taken it over. With new memory for each piece, V8's collector took most of the
 * CPU of a restore.
 */
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
      stream.write(header);
      for (let at = 0; at < piece.length && !stream.destroyed; at += partBytes) {
        await this.#sendPart(stream, piece.subarray(at, at + partBytes));
      }
    }
    if (!this.#isOver) wire.endCopyFrom();
  }

  async #sendPart(stream: Wire['stream'], part: Uint8Array): Promise<void> {
    // The socket may keep the memory after the caller uses its own again.
    const area = takeArea(partBytes);
    copyShared(area, 0, part);
    await new Promise<void>((resolve) => {
      stream.write(area.subarray(0, part.length), () => {
        giveArea(area);
        resolve();
      });
    });
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
