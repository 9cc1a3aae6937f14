/** Where `node scripts/questdb-jar.js` puts the jar, fetched or not. @param version default: the newest */
export function questDbJar(version?: string): string;

/** Fetches it with Maven unless it is there. @returns its place */
export function fetchQuestDb(version?: string): string;
