/** The prefix of the tables and triggers that bkp creates in a source. */
export const ownPrefix = '_bkp_';
