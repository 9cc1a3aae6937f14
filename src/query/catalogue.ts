/** QuestDB's names. A `TIMESTAMP` is text as {@link timestamp} makes it: it sorts as time does. */
export type ColumnType = 'VARCHAR' | 'INT' | 'LONG' | 'DOUBLE' | 'BOOLEAN' | 'TIMESTAMP';

export type Value = string | number | bigint | boolean | null;

/** A table that can be read and not changed. */
export type View = {
  /** Names, in lower case, with their types; in the order in which `*` gives them. */
  columns: Readonly<Record<string, ColumnType>>;
  /**
   * In the order in which they come without ORDER BY: the oldest first, since `LIMIT -1` means the newest then.
   * Asked for once a statement, and only when the statement is sound and names the view.
   */
  rows: () => Promise<readonly RowOf<Readonly<Record<string, ColumnType>>>[]> | readonly RowOf[];
};

/** A value a column; undefined is NULL. */
export type RowOf<Columns = Readonly<Record<string, ColumnType>>> = {
  readonly [Name in keyof Columns]: Value | undefined;
};

/** One value that a statement can ask for: a function without arguments. */
export type Scalar = {
  type: ColumnType;
  /** Asked for once a statement, before its first row, and only when the statement is sound and names it. */
  value: () => Promise<Value> | Value;
  /** It may also be written without parentheses: `SELECT backup_instance_name`. No view may then have such a column. */
  bare?: true;
};

/** What there is to be selected; the keys are names in lower case. */
export type Catalogue = {
  views: Readonly<Record<string, View>>;
  scalars: Readonly<Record<string, Scalar>>;
};

/** A view whose rows are checked, where they are made, to have exactly its columns. */
export function defineView<const Columns extends Readonly<Record<string, ColumnType>>>(
  columns: Columns,
  rows: () => Promise<readonly RowOf<Columns>[]> | readonly RowOf<Columns>[],
): View {
  return {columns, rows};
}
