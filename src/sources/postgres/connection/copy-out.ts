import type {Submittable} from 'pg';
import {copyShared} from '../../../lib/memory.ts';
import {ReadArea} from '../rows/read-area.ts';
import {unwrap} from '../rows/unwrap.ts';
import {LendingSocket} from './lending-socket.ts';

/** The socket of a `pg` connection, and what it writes. */
type Wire = {stream: NodeJS.ReadWriteStream; query(text: string): void};
type Bytes = Uint8Array;
type Listener = (bytes: Buffer) => void;

/** Receives complete rows, and how many; see {@link CopyOut}. */
export type TakeRows = (rows: Bytes, count: number) => Promise<void> | undefined;

const copyData = 0x64;
const headerBytes = 5;

/**
 * `COPY … TO STDOUT`: the server sends one message a row. The rows of each read of the socket are joined in place,
 * because handing over each row costs more than everything else that bkp does with it.
 */
export class CopyOut implements Submittable {
  /** Rows that were handed over. */
  rows = 0;
  readonly done: Promise<void>;
  readonly #text: string;
  readonly #take: TakeRows;
  #wire: Wire | undefined;
  #usual: readonly Listener[] = [];
  /** For a socket that does not lend its own. */
  #area: ReadArea | undefined;
  /** A message that is larger than an area, until it is complete. */
  #wide: {message: Buffer; filled: number} | undefined;
  /** Of rows that were handed over, what must be over before more are read. */
  #busy: Promise<void>[] = [];
  #isOver = false;
  #end!: () => void;
  #fail!: (error: unknown) => void;

  /**
   * @param take receives complete rows, whose memory it may use until it returns. The socket is paused until its
   *   promise resolves; what was already read is handed over nevertheless.
   */
  constructor(text: string, take: TakeRows) {
    this.#text = text;
    this.#take = take;
    this.done = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
  }

  /** Called by `pg` when the connection is free. */
  submit(connection: unknown): void {
    this.#wire = connection as Wire;
    const {stream} = this.#wire;
    this.#usual = stream.listeners('data') as Listener[];
    for (const listener of this.#usual) stream.removeListener('data', listener);
    if (stream instanceof LendingSocket) stream.on('lent', this.#onLent);
    else stream.on('data', this.#onData);
    this.#wire.query(this.#text);
  }

  readonly #onLent = (area: ReadArea): void => {
    this.#unwrap(area);
    this.#pauseWhileBusy();
  };

  readonly #onData = (read: Buffer): void => {
    this.#area ??= new ReadArea();
    for (let at = 0; at < read.length; ) {
      if (this.#isOver) {
        this.#giveBack(read.subarray(at));
        break;
      }
      at += this.#area.fill(read.subarray(at));
      this.#unwrap(this.#area);
    }
    this.#pauseWhileBusy();
  };

  /** Hands over what is complete in an area, and keeps the rest in it. */
  #unwrap(area: ReadArea): void {
    const read = this.#wide === undefined ? area.bytes : area.bytes.subarray(this.#fillWide(area.bytes));
    const {rows, count, rest, isOver} = unwrap(read);
    this.#hand(rows, count);
    const left = read.subarray(rest);
    if (isOver) {
      area.keep(0);
      this.#stop(left);
    } else if (sizeOf(left) > area.largest) {
      this.#wide = {message: Buffer.allocUnsafeSlow(sizeOf(left)), filled: 0};
      this.#fillWide(left);
      area.keep(0);
    } else area.keep(left.length);
  }

  /** @returns how many of the bytes are of the wide message */
  #fillWide(bytes: Bytes): number {
    const {message, filled} = this.#wide!;
    const count = Math.min(bytes.length, message.length - filled);
    copyShared(message, filled, bytes.subarray(0, count));
    this.#wide!.filled += count;
    if (this.#wide!.filled === message.length) {
      this.#wide = undefined;
      // Others that large are notices, which nothing needs.
      if (message[0] === copyData) this.#hand(message.subarray(headerBytes), 1);
    }
    return count;
  }

  #hand(rows: Bytes, count: number): void {
    if (count === 0) return;
    this.rows += count;
    const busy = this.#take(rows, count);
    if (busy !== undefined) this.#busy.push(busy);
  }

  #pauseWhileBusy(): void {
    if (this.#busy.length === 0) return;
    const {stream} = this.#wire!;
    stream.pause();
    Promise.all(this.#busy.splice(0)).then(
      () => stream.resume(),
      (error) => {
        this.#fail(error);
        (stream as unknown as {destroy(error?: unknown): void}).destroy();
      },
    );
  }

  /** The end, or an error: the driver handles it. */
  #stop(rest: Bytes): void {
    const {stream} = this.#wire!;
    this.#isOver = true;
    stream.removeListener('lent', this.#onLent);
    stream.removeListener('data', this.#onData);
    for (const listener of this.#usual) stream.on('data', listener);
    this.#giveBack(rest);
    this.#area?.release();
  }

  #giveBack(rest: Bytes): void {
    // The driver may keep what it gets.
    for (const listener of this.#usual) listener(Buffer.from(rest));
  }

  // What `pg` calls on what it was given as a query.

  handleError(error: Error): void {
    this.#fail(error);
  }

  handleReadyForQuery(): void {
    this.#end();
  }

  /** The server counts its rows too. */
  handleCommandComplete({text}: {text: string}): void {
    if (text !== `COPY ${this.rows}`) this.#fail(new Error(`the server sent ${this.rows} rows and reported ${text}`));
  }

  handleCopyData(): void {
    this.#fail(new Error('a row of COPY arrived after its end'));
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
  handleCopyInResponse(): void {}
}

/** Of the first message; 0 if that is not known yet. */
function sizeOf(messages: Bytes): number {
  if (messages.length < headerBytes) return 0;
  const view = new DataView(messages.buffer, messages.byteOffset, messages.length);
  return 1 + view.getUint32(1);
}
