export type Repeated = {
  /** Starts no further run. Resolves when the run in progress, if there is one, has ended. */
  stop(): Promise<void>;
};

/**
 * Runs `work` again and again, one run at a time: while a run is in progress, the timer skips its turns.
 * @param pauseMs the time to the next turn; asked before each one
 */
export function repeat(work: () => Promise<void>, pauseMs: () => number): Repeated {
  let running: Promise<void> | undefined;
  let timer = setTimeout(turn, pauseMs());
  function turn() {
    timer = setTimeout(turn, pauseMs());
    running ??= work().finally(() => {
      running = undefined;
    });
  }
  return {
    async stop() {
      clearTimeout(timer);
      await running;
    },
  };
}
