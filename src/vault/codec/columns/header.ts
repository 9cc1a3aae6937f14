import type {RecordKind} from './columns.ts';

const kinds: readonly RecordKind[] = ['rowid', 'key'];

/** The three bytes in front of a frame of columns. No filter of numbers, and no frame, begins with a zero. */
export const columnsHeader = (kind: RecordKind): Uint8Array => Uint8Array.of(0, kinds.indexOf(kind), 0);

/**
 * The kind of records whose columns are stored; undefined if the bytes begin with something else than a zero.
 * @throws Error with a cause in words if the kind is unknown
 */
export function readColumnsHeader(stored: Uint8Array): RecordKind | undefined {
  const [first, number = -1, last] = stored;
  if (first !== 0) return undefined;
  const kind = kinds[number];
  if (kind === undefined || last !== 0) throw new Error('its filter is unknown');
  return kind;
}
