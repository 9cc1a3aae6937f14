/** Numbers of the format; docs/format.md explains them. */

const mebi = 1024 * 1024;

export const maxChunkBytes = 16 * mebi;

/**
 * A pack is closed when its chunks reach this size: large enough for an object store that charges for each
 * request, small enough to keep two packs in memory.
 */
export const packTargetBytes = 16 * mebi;
/** In a directory, where more objects cost nothing: two such packs take the memory of one that is twice as large. */
export const directoryPackBytes = 8 * mebi;
/** A nearly full pack may have no room for another chunk of the largest size; it is closed first. */
export const packMaxBytes = 24 * mebi;
/** Bounds the table of a pack of tiny chunks to about 600 KiB. */
export const packMaxEntries = 8192;
/** Full packs all have about the same size, which says little: in an encrypted vault they are filled up to this. */
export const fullPackStepBytes = 4096;
/** Part of a pack's maximum size that is reserved for its table and trailer. */
export const packTableReserveBytes = mebi;

/** Ids that a manifest lists itself; longer recipes are stored as lists. */
export const recipeInlineIds = 128;
/** Ids in one chunk of a list: 128 KiB. */
export const recipeListIds = 4096;
/** With 4096 ids in a list, five levels cover more than any disk holds. */
export const recipeMaxDepth = 5;

/**
 * An index is written when this many packs or entries are unlisted: few objects, and a crash leaves few pack
 * tables to read.
 */
export const indexFlushPacks = 16;
export const indexFlushEntries = 32_768;
