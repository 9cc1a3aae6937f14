/**
 * How long the phases of a restore take, relative to loading. Measured with a database of 380 MB with three indexes,
 * from a directory to the same disk; indexes with one row of ten changed.
 */
const usual = {
  indexes: {laid: 0.05, built: 1.5},
  check: {quick: 0.4, full: 5},
  publish: {file: 0.05, database: 1.2},
  merge: 0.5,
};

/**
 * The same of a server, which builds indexes while other tables are loaded, and publishes by giving the tables their
 * names. Measured with PostgreSQL and two tables of 400,000 rows, each with a key and an index, one with a foreign key.
 * A full check was not measured: it reads every row back.
 */
const atServer = {indexes: 0.6, references: 0.1, check: {quick: 0.01, full: 0.5}, publish: 0.02};

const order = ['TransferData', 'Indexes', 'References', 'Check', 'End'] as const;

/** How much of a whole restore is done. */
export class RestorePhases {
  readonly #weights: Readonly<Record<(typeof order)[number], number>>;

  /** @param how.builds whether indexes are built from the rows; `into`: what gets the tables */
  constructor(how: {check: 'quick' | 'full'; builds: boolean; into: 'file' | 'database' | 'server' | 'tables'}) {
    if (how.into === 'server') {
      const {indexes, references, check, publish} = atServer;
      this.#weights = {
        ...{TransferData: 1, Indexes: indexes, References: references},
        ...{Check: check[how.check], End: publish},
      };
      return;
    }
    this.#weights = {
      TransferData: 1,
      References: 0,
      Indexes: how.builds ? usual.indexes.built : usual.indexes.laid,
      Check: usual.check[how.check],
      End: how.into === 'tables' ? usual.merge : usual.publish[how.into],
    };
  }

  /** @param share how much of the phase is done, 0 to 1 */
  whole(phase: string, share = 0): number {
    const at = (order as readonly string[]).indexOf(phase);
    const current = at < 0 ? order.length - 1 : at;
    const sum = (names: readonly (typeof order)[number][]) => names.reduce((all, name) => all + this.#weights[name], 0);
    return (sum(order.slice(0, current)) + this.#weights[order[current]!] * share) / sum(order);
  }
}
