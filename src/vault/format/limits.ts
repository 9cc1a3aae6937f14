/** The format's numbers; docs/format.md says what they mean. */

const mebi = 1024 * 1024;

export const maxChunkBytes = 16 * mebi;

/** A pack is closed when its chunks reach this: large enough for an object store's price a request, small enough to hold two. */
export const packTargetBytes = 16 * mebi;
/** Room for one more chunk of the largest size after a nearly full pack is impossible: such a pack is closed first. */
export const packMaxBytes = 24 * mebi;
/** Bounds the table of a pack of tiny chunks to about 600 KiB. */
export const packMaxEntries = 8192;
/** What of a pack's largest size is kept for its table and trailer. */
export const packTableReserveBytes = mebi;

/** Ids that a manifest lists itself; more become a list of their own. */
export const recipeInlineIds = 128;
/** Ids in one chunk of a list: 128 KiB. */
export const recipeListIds = 4096;
/** 4096 ids a level: five levels are more than any disk holds. */
export const recipeMaxDepth = 5;

/** An index is written when this many packs or entries are not listed yet: few objects, and little lost to a crash. */
export const indexFlushPacks = 16;
export const indexFlushEntries = 32_768;
