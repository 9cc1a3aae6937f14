/** How often the work's thread is asked to reply. */
const askEveryMs = 500;

/**
 * How many requests in a row may stay unanswered. They are counted rather than timed: while the process is stopped, or
 * its machine sleeps, no request is sent.
 */
const unansweredAtMost = 6;

export type Standstill = {
  /** To be called for each reply of the thread. */
  answered(): void;
  stop(): void;
};

/**
 * Detects a thread that is blocked in one long call: no message reaches it, not even a cancel.
 * @param ask sends the thread a request; the thread replies as soon as it handles events
 * @param stuck called once, after about three seconds without a reply
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
