import type {Slot} from './layout-memory.ts';

/** Hands out slots; callers wait while none is free. */
export class Slots {
  readonly #free: Slot[];
  readonly #waiting: (() => void)[] = [];
  #fault: Error | undefined;

  constructor(slots: readonly Slot[]) {
    this.#free = [...slots];
  }

  /** @throws the error that {@link fail} was called with */
  async take(): Promise<Slot> {
    for (;;) {
      if (this.#fault !== undefined) throw this.#fault;
      const slot = this.#free.pop();
      if (slot !== undefined) return slot;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  release(slot: Slot): void {
    this.#free.push(slot);
    this.#waiting.shift()?.();
  }

  fail(fault: Error): void {
    this.#fault ??= fault;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
