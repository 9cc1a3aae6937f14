import {assert} from '../../../errors/index.ts';
import {type Child, InnerPage, type InnerPageState, type PageFormat} from './inner-page.ts';

/** A level and those above it. */
export type InnerLevelState = {open: InnerPageState; held?: InnerPageState; above?: InnerLevelState};

export type InnerPageWriter = {
  takePage(): number;
  writePage(number: number, bytes: Buffer): void;
};

/**
 * One level of inner pages of a tree, and those above it. Children are added in the order of the tree; what is left at
 * the end becomes the root.
 *
 * An inner page needs at least one cell beside its rightmost child. So the page before the one that is being filled is
 * held back: if only one child is left at the end, it gives up its last one.
 */
export class InnerLevel {
  readonly #format: PageFormat;
  readonly #kind: {isTable: boolean};
  readonly #writer: InnerPageWriter;
  #held: InnerPage | undefined;
  #open: InnerPage;
  #above: InnerLevel | undefined;

  /** @param kept continues what another process began */
  constructor(format: PageFormat, kind: {isTable: boolean}, writer: InnerPageWriter, kept?: InnerLevelState) {
    this.#format = format;
    this.#kind = kind;
    this.#writer = writer;
    this.#open = new InnerPage(format, kind, kept?.open);
    if (kept?.held !== undefined) this.#held = new InnerPage(format, kind, kept.held);
    if (kept?.above !== undefined) this.#above = new InnerLevel(format, kind, writer, kept.above);
  }

  state(): InnerLevelState {
    const [held, above] = [this.#held?.state(), this.#above?.state()];
    return {
      open: this.#open.state(),
      ...(held === undefined ? {} : {held}),
      ...(above === undefined ? {} : {above}),
    };
  }

  /** Adds a child that others follow. */
  add(child: Child): void {
    if (this.#open.add(child)) return;
    this.#open.rightmost = child.page;
    this.#open.separator = Uint8Array.from(child.key);
    this.#writeHeld();
    this.#held = this.#open;
    this.#open = new InnerPage(this.#format, this.#kind);
  }

  /** Adds the last child of the tree, and writes all that is left. @param root the tree's root page */
  end(last: number, root: number): void {
    if (this.#open.cells === 0) this.#moveLastChild();
    this.#open.rightmost = last;
    this.#writeHeld();
    if (this.#above === undefined) {
      this.#writer.writePage(root, this.#open.bytes);
      return;
    }
    this.#above.end(this.#write(this.#open), root);
  }

  #moveLastChild(): void {
    const held = this.#held;
    assert(held !== undefined && held.cells > 1, 'an inner page has cells to spare when the next one has none');
    const moved = held.removeLast();
    this.#open.add({page: held.rightmost, key: held.separator!});
    held.rightmost = moved.page;
    held.separator = moved.key;
  }

  #writeHeld(): void {
    if (this.#held === undefined) return;
    const page = this.#write(this.#held);
    this.#above ??= new InnerLevel(this.#format, this.#kind, this.#writer);
    this.#above.add({page, key: this.#held.separator!});
    this.#held = undefined;
  }

  #write(page: InnerPage): number {
    const number = this.#writer.takePage();
    this.#writer.writePage(number, page.bytes);
    return number;
  }
}
