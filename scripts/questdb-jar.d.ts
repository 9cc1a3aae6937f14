/** Where `node scripts/questdb-jar.js` puts the jar, fetched or not. */
export function questDbJar(): string;

/** Fetches it with Maven unless it is there. @returns its place */
export function fetchQuestDb(): string;
