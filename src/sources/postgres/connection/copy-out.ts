import type {Submittable} from 'pg';
import {LendingSocket} from './lending-socket.ts';

/** The socket of a `pg` connection, and what it writes. */
type Wire = {stream: NodeJS.ReadWriteStream; query(text: string): void};
type Bytes = Uint8Array;
type Listener = (bytes: Buffer) => void;

/** Receives complete rows, and how many; see {@link CopyOut}. */
export type TakeRows = (rows: Bytes, count: number) => Promise<void> | undefined;

/** Types of messages. Source: https://www.postgresql.org/docs/18/protocol-message-formats.html */
const copyData = 0x64;
const copyOutResponse = 0x48;
/** A server may send them at any time: NoticeResponse, ParameterStatus, NotificationResponse. */
const atAnyTime = new Set([0x4e, 0x53, 0x41]);
const headerBytes = 5;

/**
 * `COPY … TO STDOUT`: the server sends one message a row, and this joins the rows of each read of the socket in place,
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
  /** The beginning of a message whose rest has not arrived. */
  #rest: Buffer | undefined;
  #end!: () => void;
  #fail!: (error: unknown) => void;

  /**
   * @param take receives complete rows, whose memory it may use until it returns, or its promise resolves: the
   *   socket is paused until then
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
    stream.on(eventOf(stream), this.#onData);
    this.#wire.query(this.#text);
  }

  readonly #onData = (read: Buffer): void => {
    const bytes = this.#rest === undefined ? read : Buffer.concat([this.#rest, read]);
    this.#rest = undefined;
    let at = 0;
    let filled = 0;
    const before = this.rows;
    while (at + headerBytes <= bytes.length) {
      const type = bytes[at]!;
      if (type !== copyData && type !== copyOutResponse && !atAnyTime.has(type)) {
        // The end, or an error: the driver handles it.
        this.#hand(bytes.subarray(0, filled), this.rows - before);
        this.#giveBack(bytes.subarray(at));
        return;
      }
      const end = at + 1 + bytes.readUInt32BE(at + 1);
      if (end > bytes.length) break;
      if (type === copyData) {
        bytes.copyWithin(filled, at + headerBytes, end);
        filled += end - at - headerBytes;
        this.rows += 1;
      }
      at = end;
    }
    if (at < bytes.length) this.#rest = Buffer.from(bytes.subarray(at));
    this.#hand(bytes.subarray(0, filled), this.rows - before);
  };

  #hand(rows: Bytes, count: number): void {
    if (rows.length === 0) return;
    const {stream} = this.#wire!;
    const busy = this.#take(rows, count);
    if (busy === undefined) return;
    stream.pause();
    busy.then(
      () => stream.resume(),
      (error) => {
        this.#fail(error);
        (stream as unknown as {destroy(error?: unknown): void}).destroy();
      },
    );
  }

  #giveBack(rest: Buffer): void {
    const {stream} = this.#wire!;
    stream.removeListener(eventOf(stream), this.#onData);
    for (const listener of this.#usual) stream.on('data', listener);
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

const eventOf = (stream: Wire['stream']) => (stream instanceof LendingSocket ? 'lent' : 'data');
