import type {VaultCollector} from '../../vault/index.ts';
import {endedPins} from './ended.ts';
import type {PinObject} from './keys.ts';
import type {Pin} from './pin.ts';

/** Removes pins that are over. Those of older generations first: without the newest, they would count again. */
export async function removeEndedPins(
  collector: VaultCollector,
  {pinObjects, pins}: {pinObjects: readonly PinObject[]; pins: ReadonlyMap<string, Pin>},
  nowMs: number,
): Promise<void> {
  const {older, over, unpinned} = endedPins(pinObjects, pins, nowMs);
  if ((await collector.remove(older)).length > 0) return;
  await collector.remove(over);
  await collector.removeEndings(unpinned);
}
