/** @returns microseconds since 1970, UTC, as QuestDB writes them: `2025-07-30T12:49:30.554262Z` */
export function timestamp(micros: number): string {
  const seconds = new Date(Math.floor(micros / 1000)).toISOString().slice(0, 19);
  const fraction = String(((micros % 1e6) + 1e6) % 1e6).padStart(6, '0');
  return `${seconds}.${fraction}Z`;
}
