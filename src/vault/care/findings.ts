import {isDamage} from '../format/damage.ts';
import type {Finding, PackId} from '../types.ts';

/** What a verification found, without duplicates. */
export class Findings {
  readonly #findings = new Map<string, Finding>();

  add(finding: Finding): void {
    const name = `${finding.what} ${finding.chunk ?? finding.key ?? finding.detail}`;
    if (!this.#findings.has(name)) this.#findings.set(name, finding);
  }

  /** @throws the error itself unless it says that the content of the store is missing or damaged */
  addError(error: unknown, where: Pick<Finding, 'key' | 'pack' | 'chunk' | 'needed'> = {}): void {
    if (!isDamage(error)) throw error;
    const context = error.context as {key?: string; pack?: PackId; chunk?: Finding['chunk'] & string};
    const what = error.code === 'OBJECT_MISSING' ? 'missing' : 'damaged';
    this.add({what, ...context, ...where, detail: error.message});
  }

  isAbout(pack: PackId): boolean {
    return this.all().some((finding) => finding.pack === pack);
  }

  /** Packs that are in the store with other content than was written. */
  damagedPacks(): ReadonlySet<PackId> {
    const damaged = this.all().filter((finding) => finding.what === 'damaged');
    return new Set(damaged.flatMap(({pack}) => pack ?? []));
  }

  all(): readonly Finding[] {
    return [...this.#findings.values()];
  }
}
