import {parseArgs} from 'node:util';
import {type Simulated, simulate} from './simulate.ts';

const {values} = parseArgs({
  options: {
    seeds: {type: 'string', default: '1000'},
    from: {type: 'string', default: '1'},
    /** Every event of every seed: for one. */
    trace: {type: 'boolean', default: false},
  },
});
const from = Number(values.from);
const seeds = Number(values.seeds);
if (!Number.isSafeInteger(from) || !Number.isSafeInteger(seeds))
  throw new Error('--from and --seeds are whole numbers');

const startedAtMs = performance.now();
const work: Simulated['work'] = {};
let events = 0;
let failed = 0;
for (let seed = from; seed < from + seeds; seed++) {
  const result = await simulate(seed, {traced: values.trace});
  events += result.events;
  for (const [kind, counts] of Object.entries(result.work)) {
    const sum = work[kind] ?? {};
    for (const outcome of ['done', 'refused', 'killed'] as const) {
      sum[outcome] = (sum[outcome] ?? 0) + (counts[outcome] ?? 0);
    }
    work[kind] = sum;
  }
  for (const line of result.log ?? []) console.log(line);
  if (result.failure === undefined) continue;
  failed += 1;
  process.exitCode = 1;
  console.log(`seed ${seed}: ${result.failure}`);
}
const seconds = (performance.now() - startedAtMs) / 1000;
console.log(
  `${seeds} seeds from ${from}, ${events} events, ${seconds.toFixed(1)} s, ` +
    `${Math.round((seeds * 60) / seconds)} seeds a minute, ${failed} failed`,
);
console.table(work);
