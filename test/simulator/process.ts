import type {Clock, Host} from '../../src/vault/index.ts';
import type {World} from './world.ts';

/** A machine: the name of its boot, its clock, its processes. */
export class Machine {
  readonly name: string;
  /** The same for a machine and its clone, both started from one image of a running machine. */
  readonly space: string | undefined;
  /** How far its wall clock is off. */
  readonly skewMs: number;
  /** For how long its monotonic clock was stopped, because the machine slept. */
  sleptMs = 0;
  readonly processes: SimulatedProcess[] = [];

  constructor(options: {name: string; space: string | undefined; skewMs: number}) {
    this.name = options.name;
    this.space = options.space;
    this.skewMs = options.skewMs;
  }
}

/** One process. Deliveries wait while it is paused, and are lost once it has ended. */
export class SimulatedProcess {
  readonly world: World;
  readonly machine: Machine;
  readonly pid: number;
  readonly clock: Clock;
  readonly host: Host;
  state: 'runs' | 'paused' | 'gone' = 'runs';
  #waiting: (() => void)[] = [];
  /** How many deliveries are left before it is killed or paused. */
  #fate: {deliveries: number; happens: () => void} | undefined;
  #fateAtCall: {kind: string; calls: number; happens: () => void} | undefined;

  constructor(world: World, machine: Machine, pid: number) {
    this.world = world;
    this.machine = machine;
    this.pid = pid;
    machine.processes.push(this);
    this.clock = {
      wallMs: () => 1_795_000_000_000 + world.nowMs + machine.skewMs,
      monotonicMs: () => world.nowMs - machine.sleptMs,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          world.after(ms, () => this.deliver(() => (signal?.aborted ? reject(signal.reason) : resolve())));
        }),
      every: (ms, work) => {
        let isStopped = false;
        const next = () =>
          world.after(ms, () => {
            if (isStopped || this.state === 'gone') return;
            this.deliver(() => {
              if (isStopped) return;
              work();
              next();
            });
          });
        next();
        return () => {
          isStopped = true;
        };
      },
    };
    this.host = {
      name: machine.name,
      pid,
      started: String(pid),
      ...(machine.space === undefined ? {} : {space: machine.space}),
      isAlive: (other) => machine.processes.some((process) => process.pid === other && process.state !== 'gone'),
    };
  }

  get name(): string {
    return `${this.machine.name}/${this.pid}`;
  }

  /** Delivers a reply or a timer to the process. */
  deliver(run: () => void): void {
    if (this.state === 'gone') return;
    if (this.state === 'paused') {
      this.#waiting.push(run);
      return;
    }
    if (this.#fate !== undefined && this.#fate.deliveries-- === 0) {
      const {happens} = this.#fate;
      this.#fate = undefined;
      happens();
      this.deliver(run);
      return;
    }
    run();
  }

  /** Calls `happens` before the delivery that follows this many others. */
  meets(deliveries: number, happens: () => void): void {
    this.#fate = {deliveries, happens};
  }

  /** Calls `happens` after this many calls of one kind, before the next one is sent. */
  meetsAtCall(kind: string, calls: number, happens: () => void): void {
    this.#fateAtCall = {kind, calls, happens};
  }

  /** The process is about to send a call. */
  calls(what: string): void {
    if (this.#fateAtCall === undefined || !what.includes(this.#fateAtCall.kind)) return;
    if (this.#fateAtCall.calls-- > 0) return;
    const {happens} = this.#fateAtCall;
    this.#fateAtCall = undefined;
    happens();
  }

  /** As SIGSTOP: its clock continues. */
  pause(ms: number): void {
    if (this.state !== 'runs') return;
    this.world.note(() => `${this.name} is paused for ${ms / 1000} s`);
    this.state = 'paused';
    this.world.after(ms, () => this.resume());
  }

  resume(): void {
    if (this.state !== 'paused') return;
    this.world.note(() => `${this.name} continues`);
    this.state = 'runs';
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) this.world.after(0, () => this.deliver(run));
  }

  kill(): void {
    if (this.state === 'gone') return;
    this.world.note(() => `${this.name} is killed`);
    this.end();
  }

  end(): void {
    this.state = 'gone';
    this.#waiting = [];
  }
}

/** A machine sleeps, and its monotonic clock stops. */
export function sleep(world: World, machine: Machine, ms: number): void {
  const sleeping = machine.processes.filter((process) => process.state === 'runs');
  for (const process of sleeping) process.pause(ms);
  const startedAtMs = world.nowMs;
  // Set before its processes continue: events of the same time run in the order in which they were scheduled.
  machine.sleptMs += ms;
  world.note(() => `${machine.name} sleeps from ${startedAtMs / 1000} s on for ${ms / 1000} s`);
}
