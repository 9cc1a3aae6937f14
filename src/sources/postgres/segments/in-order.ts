import type {Connection} from '../connection/connection.ts';
import type {Lent, Reading} from './read-rows.ts';

/**
 * Reads ranges on several connections at once, and yields their segments in the order of the ranges. A connection is
 * at most one range ahead of what has been yielded, so that memory does not grow.
 * @param start begins to read a range; undefined if there is nothing to read: it is yielded without a segment
 */
export async function* readInOrder<Range>(
  connections: readonly Connection[],
  ranges: Iterable<Range>,
  start: (connection: Connection, range: Range) => Reading,
  isRead: (range: Range) => boolean = () => true,
): AsyncGenerator<{range: Range; segment?: Lent}> {
  const free = [...connections];
  const begun: {range: Range; reading?: Reading}[] = [];
  const iterator = ranges[Symbol.iterator]();
  let next = iterator.next();
  let isStopped = false;
  const begin = () => {
    while (!next.done && !isStopped) {
      const range = next.value;
      if (!isRead(range)) begun.push({range});
      else {
        const readings = begun.filter(({reading}) => reading !== undefined).length;
        const connection = readings > connections.length ? undefined : free.pop();
        if (connection === undefined) return;
        const reading = start(connection, range);
        void reading.ended.then((isFree) => {
          if (!isFree) return;
          free.push(connection);
          begin();
        });
        begun.push({range, reading});
      }
      next = iterator.next();
    }
  };
  try {
    begin();
    while (begun.length > 0) {
      const {range, reading} = begun[0]!;
      if (reading === undefined) yield {range};
      else for await (const segment of reading.segments) yield {range, segment};
      begun.shift();
      begin();
    }
  } finally {
    // After an error, or when the consumer stops.
    isStopped = true;
    for (const {reading} of begun) await reading?.stop();
  }
}
