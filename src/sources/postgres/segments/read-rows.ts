import type {Segment} from '../../source.ts';
import type {Connection} from '../connection/connection.ts';

/** Segments that wait for their consumer before the server has to. */
const mostWaiting = 2;

/**
 * The rows of a query as COPY writes them, in segments of at least `segmentBytes` that end with a row. The last one is
 * smaller. If the iteration ends early, the connection is closed: nothing else stops the server.
 */
export async function* readRows(
  connection: Connection,
  query: string,
  {segmentBytes}: {segmentBytes: number},
): AsyncGenerator<Segment> {
  const waiting: Segment[] = [];
  let parts: Uint8Array[] = [];
  let [bytes, rows] = [0, 0];
  let wake = () => {};
  let resume = () => {};
  let isOver = false;
  let fault: unknown;
  const close = () => {
    if (bytes > 0) waiting.push({bytes: Buffer.concat(parts, bytes), rows});
    [parts, bytes, rows] = [[], 0, 0];
  };
  const take = (read: Uint8Array, count: number) => {
    // The socket uses its memory again.
    parts.push(Buffer.from(read));
    bytes += read.length;
    rows += count;
    if (bytes < segmentBytes) return undefined;
    close();
    wake();
    if (waiting.length < mostWaiting) return undefined;
    return new Promise<void>((resolve) => {
      resume = resolve;
    });
  };
  const running = connection.copyOut(`COPY (${query}) TO STDOUT`, take).then(
    () => {
      close();
      isOver = true;
      wake();
    },
    (error: unknown) => {
      fault = error;
      isOver = true;
      wake();
    },
  );
  try {
    for (;;) {
      const segment = waiting.shift();
      if (segment !== undefined) {
        yield segment;
        resume();
      } else if (isOver) {
        if (fault !== undefined) throw fault;
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (waiting.length > 0 || isOver) resolve();
        });
      }
    }
  } finally {
    if (!isOver) {
      connection.destroy();
      resume();
      await running;
    }
  }
}
