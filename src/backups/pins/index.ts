export {foldersOfManifest, type PinObject, parsePinKey, pinsPrefix} from './keys.ts';
export {
  commitPin,
  isInForce,
  nextPinGeneration,
  type Pin,
  pinnedManifest,
  pinUntil,
  putUnpinned,
  readPins,
} from './pin.ts';
export {removeEndedPins} from './remove-ended.ts';
