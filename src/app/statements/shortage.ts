import {formatBytes} from '../../lib/figures.ts';

/** A notice if the space of a restore may not suffice. What is needed is an estimate, and so no reason to refuse. */
export function shortage({
  neededBytes,
  freeBytes,
  place,
}: {
  neededBytes: number;
  /** Absent if it is unknown. */
  freeBytes?: number | undefined;
  place: string;
}): string | undefined {
  if (freeBytes === undefined || freeBytes >= neededBytes) return undefined;
  const figures = `about ${formatBytes(neededBytes)} needed in ${place}, ${formatBytes(freeBytes)} free`;
  return `the space may not suffice: ${figures}`;
}
