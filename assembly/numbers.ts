/** The module of src/vault/codec/numbers: columns of numbers as zstd compresses them well, and back. */
export {fromDecimals, scaleOf, toDecimals} from './numbers/decimals';
export {differences4, differences8, sums4, sums8} from './numbers/differences';
export {joinPlanes, splitPlanes} from './numbers/planes';
