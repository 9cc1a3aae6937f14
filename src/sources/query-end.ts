/** What ends a query of the user: `signal` is that of the whole drill. */
export type QueryEnd = {seconds: number; signal: AbortSignal};
