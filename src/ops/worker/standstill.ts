/** How often the work's thread is asked for an answer. */
const askEveryMs = 500;

/**
 * How many questions in a row may stay without one. They are counted and not timed: while a process is stopped, or its
 * machine sleeps, none is asked.
 */
const unansweredAtMost = 6;

export type Standstill = {
  /** The thread that was asked has answered. */
  answered(): void;
  stop(): void;
};

/**
 * Finds out whether a thread is in the middle of one long call: then nothing reaches it, a cancel neither.
 * @param ask sends the thread a question; it answers as soon as it handles any event
 * @param stuck called once, after about three seconds without an answer
 */
export function watchForStandstill(ask: () => void, stuck: () => void): Standstill {
  let unanswered = 0;
  const timer = setInterval(() => {
    unanswered++;
    if (unanswered <= unansweredAtMost) return ask();
    clearInterval(timer);
    stuck();
  }, askEveryMs);
  ask();
  return {
    answered() {
      unanswered = 0;
    },
    stop: () => clearInterval(timer),
  };
}
