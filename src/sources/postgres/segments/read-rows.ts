import type {Segment} from '../../source.ts';
import type {Connection} from '../connection/connection.ts';
import {OpenSegment} from './memory.ts';

/** Bytes that wait for their consumer before the server has to. */
const mostAheadBytes = 4 * 1024 * 1024;

export type Lent = Segment & {
  /** Its memory is used again after this. */
  release: () => void;
};

export type Cutting = {
  segmentBytes: number;
  /** A last segment with less than this becomes a part of the one before. Default 0. */
  leastBytes?: number;
};

/** The rows of a query, which the server sends from now on. */
export type Reading = {
  /** Resolves when the connection is free for another query; to `false` after an error, which the segments throw. */
  ended: Promise<boolean>;
  /** To be iterated once. If the iteration ends early, the connection is closed: nothing else stops the server. */
  segments: AsyncGenerator<Lent>;
  stop(): Promise<void>;
};

/** Reads rows as COPY writes them, in segments of at least `segmentBytes` that end with a row; the last is smaller. */
export function startReading(connection: Connection, query: string, cutting: Cutting): Reading {
  const {segmentBytes, leastBytes = 0} = cutting;
  const ready: OpenSegment[] = [];
  let readyBytes = 0;
  /** Complete, unless too little follows. */
  let held: OpenSegment | undefined;
  let open: OpenSegment | undefined;
  let wake = () => {};
  /** Of reads that wait for the consumer. */
  let resumes: (() => void)[] = [];
  const resume = () => {
    const waiting = resumes;
    resumes = [];
    for (const go of waiting) go();
  };
  let isOver = false;
  let fault: unknown;
  const push = (segment: OpenSegment) => {
    ready.push(segment);
    readyBytes += segment.length;
    wake();
  };
  const take = (read: Uint8Array, rows: number) => {
    open ??= new OpenSegment();
    open.append(read, rows);
    if (held !== undefined && open.length >= leastBytes) {
      push(held);
      held = undefined;
    }
    if (open.length >= segmentBytes) {
      if (leastBytes === 0) push(open);
      else held = open;
      open = undefined;
    }
    if (readyBytes < mostAheadBytes) return undefined;
    return new Promise<void>((resolve) => resumes.push(resolve));
  };
  const end = () => {
    if (held !== undefined && open !== undefined && open.length < leastBytes) {
      held.append(open.bytes(), open.rows);
      open.release();
      open = undefined;
    }
    if (held !== undefined) push(held);
    if (open !== undefined) push(open);
  };
  const ended = connection.copyOut(`COPY (${query}) TO STDOUT`, take).then(
    () => {
      end();
      isOver = true;
      wake();
      return true;
    },
    (error: unknown) => {
      fault = error;
      isOver = true;
      wake();
      return false;
    },
  );
  const stop = async () => {
    if (!isOver) {
      connection.destroy();
      resume();
    }
    await ended;
  };
  async function* segments(): AsyncGenerator<Lent> {
    try {
      for (;;) {
        const segment = ready.shift();
        if (segment !== undefined) {
          readyBytes -= segment.length;
          resume();
          yield {bytes: segment.bytes(), rows: segment.rows, release: () => segment.release()};
        } else if (isOver) {
          if (fault !== undefined) throw fault;
          return;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
            if (ready.length > 0 || isOver) resolve();
          });
        }
      }
    } finally {
      await stop();
    }
  }
  return {ended, segments: segments(), stop};
}

/** As {@link startReading}, when the first segment is asked for. */
export async function* readRows(connection: Connection, query: string, cutting: Cutting): AsyncGenerator<Lent> {
  yield* startReading(connection, query, cutting).segments;
}
