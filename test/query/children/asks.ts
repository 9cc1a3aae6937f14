import {defineView, runSelect} from '../../../src/query/index.ts';

// Asks a question that takes for ever.
const rows = Array.from({length: 2000}, (_, at) => ({x: at}));
await runSelect('SELECT count(*) FROM n() a, n() b, n() c, n() d', {
  views: {n: defineView({x: 'INT'}, () => rows)},
  scalars: {},
});
