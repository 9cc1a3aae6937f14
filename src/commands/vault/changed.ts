import {kindOf, shownId} from '../../app/keys/slots.ts';
import type {RowFormat} from '../../ui/index.ts';
import {fingerprintOf, type KeysChanged, type SlotInfo} from '../../vault/index.ts';
import type {CommandDeps} from '../deps.ts';

export type Changed = {
  changed: KeysChanged;
  removed?: readonly SlotInfo[];
  /** New objects are sealed with new keys. */
  isRotated: boolean;
};

/** One line of JSON, a contract: fields are only added. */
export function changedJson({changed, removed = [], isRotated}: Changed): string {
  const {ring, added, isComplete} = changed;
  const {generation} = ring.keys;
  const slots = {added: added === undefined ? [] : [plainOf(added)], removed: removed.map(plainOf)};
  const facts = {ring: fingerprintOf(ring.keys), generation, ...slots, rotated: isRotated, complete: isComplete};
  return `${JSON.stringify(facts)}\n`;
}

const plainOf = (slot: SlotInfo) => ({slot: slot.id, label: slot.label, kind: kindOf(slot)});

export const slotText = (slot: SlotInfo): string => `${shownId(slot)} (${slot.label})`;

/** @param sentences what it means, for a person */
export function tell(
  deps: Pick<CommandDeps, 'stdout'>,
  change: Changed,
  {format, sentences}: {format: RowFormat; sentences: readonly string[]},
): void {
  const lines = [...sentences, `ring ${fingerprintOf(change.changed.ring.keys)}`, ''];
  deps.stdout.write(format === 'json' ? changedJson(change) : lines.join('\n'));
}
