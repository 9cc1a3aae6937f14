/** What ends a query of CHECK_SQL: `signal` is that of the whole drill. */
export type QueryEnd = {seconds: number; signal: AbortSignal};

/** What a query returned that met its limit, as the end of a sentence. */
export const tookTooLong = (seconds: number): string =>
  `nothing within ${seconds} seconds; verify.query.seconds of the configuration is the limit`;
