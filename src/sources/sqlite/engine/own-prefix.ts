/** Names of bkp's own tables and triggers in a source begin so. */
export const ownPrefix = '_bkp_';
