import type {Key} from '../../stores/index.ts';
import type {PinObject} from './keys.ts';
import {isInForce, newestOfEach, type Pin} from './pin.ts';

/** Objects below `pins/` that protect nothing any more, in the order of their removal. */
export type EndedPins = {
  /** First: those of older generations, which would count again without the newest. */
  older: readonly Key[];
  newest: readonly Key[];
};

/** @param pins those of the objects that nothing has ended */
export function endedPins(objects: readonly PinObject[], pins: ReadonlyMap<string, Pin>, nowMs: number): EndedPins {
  const newest = new Set(newestOfEach(objects));
  const isOver = ({what, backup}: PinObject) => {
    const pin = pins.get(backup);
    return what === 'unpinned' || (pin !== undefined && !isInForce(pin, nowMs));
  };
  return {
    older: objects.filter((object) => !newest.has(object)).map(({key}) => key),
    newest: [...newest].filter(isOver).map(({key}) => key),
  };
}
