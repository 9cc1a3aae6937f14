import type {Key} from '../../stores/index.ts';
import type {PinObject} from './keys.ts';
import {isInForce, newestOfEach, type Pin} from './pin.ts';

/** Objects below `pins/` that protect nothing any more, in the order of their removal. */
export type EndedPins = {
  /** First: pins of older generations, which would count again without the newest. */
  older: readonly Key[];
  /** Pins whose time is over. */
  over: readonly Key[];
  /** Last: what UNPIN wrote. */
  unpinned: readonly Key[];
};

/** @param pins those of the objects that nothing has ended */
export function endedPins(objects: readonly PinObject[], pins: ReadonlyMap<string, Pin>, nowMs: number): EndedPins {
  const newest = new Set(newestOfEach(objects));
  const isOver = ({backup}: PinObject) => {
    const pin = pins.get(backup);
    return pin !== undefined && !isInForce(pin, nowMs);
  };
  const keysOf = (isWanted: (object: PinObject) => boolean) => objects.filter(isWanted).map(({key}) => key);
  return {
    older: keysOf((object) => object.what === 'pin' && !newest.has(object)),
    over: keysOf((object) => object.what === 'pin' && newest.has(object) && isOver(object)),
    unpinned: keysOf(({what}) => what === 'unpinned'),
  };
}
