import {spawn} from 'node:child_process';
import {availableParallelism} from 'node:os';
import {text} from 'node:stream/consumers';
import {parseArgs} from 'node:util';
import {type Simulated, simulate} from './simulate.ts';

type Summary = {events: number; failures: string[]; work: Simulated['work']};

/** Seeds that one process runs: enough to make its start cheap, and few enough to free its memory regularly. */
const seedsAProcess = 200;

const {values} = parseArgs({
  options: {
    seeds: {type: 'string', default: '1000'},
    from: {type: 'string', default: '1'},
    /** Concurrent processes. */
    jobs: {type: 'string', default: String(availableParallelism())},
    /** Prints every event of every seed; useful for one seed. */
    trace: {type: 'boolean', default: false},
    /** Prints the summary as JSON, for the process that started this one. */
    part: {type: 'boolean', default: false},
  },
});
const [from, seeds, jobs] = [values.from, values.seeds, values.jobs].map(Number) as [number, number, number];
if (![from, seeds, jobs].every((number) => Number.isSafeInteger(number) && number > 0))
  throw new Error('--from, --seeds and --jobs are whole numbers from 1 on');

const startedAtMs = performance.now();
const total: Summary = {events: 0, failures: [], work: {}};
if (values.part || values.trace || seeds <= seedsAProcess || jobs === 1) await runHere();
else await runInProcesses();
if (values.part) console.log(JSON.stringify(total));
else report();

async function runHere(): Promise<void> {
  for (let seed = from; seed < from + seeds; seed++) {
    const {events, work, log, failure} = await simulate(seed, {traced: values.trace});
    for (const line of log ?? []) console.log(line);
    add({events, work, failures: failure === undefined ? [] : [`seed ${seed}: ${failure}`]});
  }
}

async function runInProcesses(): Promise<void> {
  let next = from;
  const job = async () => {
    while (next < from + seeds) {
      const first = next;
      next = Math.min(next + seedsAProcess, from + seeds);
      add(await part(first, next - first));
    }
  };
  await Promise.all(Array.from({length: jobs}, job));
}

async function part(first: number, count: number): Promise<Summary> {
  const range = ['--from', String(first), '--seeds', String(count), '--part'];
  const child = spawn(process.execPath, [...process.execArgv, import.meta.filename, ...range], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve, reject) => child.on('close', resolve).on('error', reject));
  const printed = await text(child.stdout);
  const status = await ended;
  if (status !== 0) throw new Error(`the process of the seeds from ${first} ended with ${status}`);
  return JSON.parse(printed) as Summary;
}

function add({events, failures, work}: Summary): void {
  total.events += events;
  total.failures.push(...failures);
  for (const failure of values.part ? [] : failures) console.log(failure);
  for (const [kind, counts] of Object.entries(work)) {
    const sum = total.work[kind] ?? {};
    for (const outcome of ['done', 'refused', 'killed'] as const) {
      sum[outcome] = (sum[outcome] ?? 0) + (counts[outcome] ?? 0);
    }
    total.work[kind] = sum;
  }
}

function report(): void {
  const seconds = (performance.now() - startedAtMs) / 1000;
  console.log(
    `${seeds} seeds from ${from}, ${total.events} events, ${seconds.toFixed(1)} s, ` +
      `${Math.round((seeds * 60) / seconds)} seeds a minute, ${total.failures.length} failed`,
  );
  console.table(total.work);
  if (total.failures.length > 0) process.exitCode = 1;
}
