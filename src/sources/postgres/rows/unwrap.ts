import {moduleOf} from './areas.ts';

/** `rest`: from which byte on messages were left; `isOver`: it is the end of the rows, not an incomplete message. */
export type Unwrapped = {rows: Uint8Array; count: number; rest: number; isOver: boolean};

/**
 * Takes the rows of `COPY … TO STDOUT` out of the messages of the server, one a row, and moves them together.
 * @param messages in an area; the first one is complete at its front
 */
export function unwrap(messages: Uint8Array): Unwrapped {
  const {lines} = moduleOf(messages)!;
  const start = messages.byteOffset;
  const count = lines.unwrap(start, start + messages.length);
  const rows = messages.subarray(0, lines.rowsEnd.value - start);
  return {rows, count, rest: lines.rest.value - start, isOver: lines.isOver.value !== 0};
}
