import type {Snapshot, TableSource} from '../../src/sources/index.ts';

/** The same source, whose snapshots give every base as rows. */
export function asRows(source: TableSource): TableSource {
  const snapshot: TableSource['snapshot'] = async (options) => {
    const taken = await source.snapshot(options);
    const base: Snapshot['base'] = (table, asked) => taken.base(table, {...asked, form: 'rows'});
    return changed(taken, {base});
  };
  return changed(source, {snapshot});
}

/** An object with some methods replaced; the others keep their `this`, whose private members they need. */
export function changed<T extends object>(object: T, methods: Partial<T>): T {
  return new Proxy(object, {
    get: (target, key) => {
      const value: unknown = Reflect.get(methods, key) ?? Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
