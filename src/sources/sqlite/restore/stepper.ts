/** Begins a step of a phase: cancellation and progress run before it. */
export type Stepper = (phase: string) => Promise<void>;

/** Lets cancellation and progress run between long steps. */
export function stepper({
  progress,
  signal,
}: {
  progress?: ((phase: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}): Stepper {
  return async (phase) => {
    progress?.(phase);
    await new Promise(setImmediate);
    signal?.throwIfAborted();
  };
}
