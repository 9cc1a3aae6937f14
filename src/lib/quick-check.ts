import * as v from 'valibot';

/** True only for values that the schema accepts. False says nothing: ask the schema. */
export type QuickCheck = (value: unknown) => boolean;

type AnySchema = v.GenericSchema<unknown, unknown>;
type Action = {kind: string; type: string; requirement?: unknown};
type Parts = AnySchema & {
  pipe?: readonly Action[];
  entries?: Record<string, Parts>;
  wrapped?: Parts;
  item?: Parts;
  items?: readonly Parts[];
  literal?: unknown;
  options?: readonly unknown[];
  check?: (value: unknown) => boolean;
  default?: unknown;
};

const checks = new WeakMap<object, QuickCheck>();

/**
 * A function that accepts what a schema accepts, without its bookkeeping: a schema of Valibot makes an object for each
 * value, to collect issues and what it transforms. That took half of the time of a list of ten thousand backups.
 */
export function quickCheck(schema: v.GenericSchema<unknown, unknown>): QuickCheck {
  const known = checks.get(schema);
  if (known !== undefined) return known;
  const check = made(schema as Parts);
  checks.set(schema, check);
  return check;
}

function made(schema: Parts): QuickCheck {
  const {pipe} = schema;
  if (pipe === undefined) return madeAlone(schema);
  const [first, ...actions] = pipe;
  const begin = first === schema || first === undefined ? madeAlone(schema) : quickCheck(first as unknown as AnySchema);
  const steps = actions.map(stepOf);
  return steps.includes(undefined)
    ? (value) => v.is(schema, value)
    : (value) => begin(value) && steps.every((step) => step!(value));
}

function madeAlone(schema: Parts): QuickCheck {
  switch (schema.type) {
    case 'string':
      return (value) => typeof value === 'string';
    case 'number':
      return (value) => typeof value === 'number' && !Number.isNaN(value);
    case 'boolean':
      return (value) => typeof value === 'boolean';
    case 'literal':
      return (value) => value === schema.literal;
    case 'picklist':
      return (value) => schema.options!.includes(value);
    case 'custom':
      return (value) => schema.check!(value);
    case 'object':
      return objectCheck(Object.entries(schema.entries!));
    case 'array': {
      const item = quickCheck(schema.item!);
      // `every` would skip what an array with holes lacks.
      return (value) => Array.isArray(value) && !value.includes(undefined) && value.every(item);
    }
    case 'variant':
    case 'union': {
      const options = schema.options!.map((option) => quickCheck(option as AnySchema));
      return (value) => options.some((option) => option(value));
    }
    default:
      return (value) => v.is(schema, value);
  }
}

function objectCheck(entries: readonly (readonly [string, Parts])[]): QuickCheck {
  const members = entries.map(([name, schema]) => {
    const isExact = schema.type === 'exact_optional';
    const mayBeAbsent = (isExact || schema.type === 'optional') && schema.default === undefined;
    return {name, mayBeAbsent, check: quickCheck(isExact ? schema.wrapped! : schema)};
  });
  return (value) => {
    if (typeof value !== 'object' || value === null) return false;
    return members.every(({name, mayBeAbsent, check}) =>
      name in value ? check((value as Record<string, unknown>)[name]) : mayBeAbsent,
    );
  };
}

/** @returns undefined for an action that is not known here */
function stepOf({kind, type, requirement}: Action): QuickCheck | undefined {
  if (kind !== 'validation') return undefined;
  switch (type) {
    case 'check':
    case 'safe_integer':
    case 'integer':
      return requirement as QuickCheck;
    case 'regex':
      return (value) => (requirement as RegExp).test(value as string);
    case 'min_value':
      return (value) => (value as number) >= (requirement as number);
    case 'max_value':
      return (value) => (value as number) <= (requirement as number);
    case 'non_empty':
      return (value) => (value as string).length > 0;
    case 'min_length':
      return (value) => (value as string).length >= (requirement as number);
    case 'max_length':
      return (value) => (value as string).length <= (requirement as number);
    default:
      return undefined;
  }
}
