export type Repeated = {
  /** Starts no further run. Resolves when the run in progress, if there is one, has ended. */
  stop(): Promise<void>;
};

/** Runs `work` every `everyMs`, one run at a time: while a run is in progress, the timer skips its turns. */
export function repeat(work: () => Promise<void>, everyMs: number): Repeated {
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= work().finally(() => {
      running = undefined;
    });
  }, everyMs);
  return {
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}
