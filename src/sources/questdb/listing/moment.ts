import {closeSync, openSync, readSync} from 'node:fs';
import {open} from 'node:fs/promises';
import {join} from 'node:path';
import {BkpError} from '../../../errors/index.ts';
import type {DatabaseMoment, Frozen, FrozenFile} from '../../file-source.ts';
import {isAbsent, unreadable} from '../format/bytes.ts';
import {lineageOf} from '../format/lineage.ts';
import {type BlockMemory, byPath, type ListedFile, type Patch} from './listed-file.ts';

/** Blocks that one system call reads. The cost of the call is then negligible; more would only use more memory. */
const blocksAtOnce = 8;

export type MomentPlan = {
  root: string;
  takenAtMicros: number;
  facts: Omit<DatabaseMoment, 'leftOut'>;
  /** Complete after `list`. */
  leftOut: () => readonly string[];
  list: () => Promise<ListedFile[]>;
  confirm: () => Promise<void>;
  release: () => Promise<void>;
};

/** The state of a root at one point in time: under a checkpoint, or of a stopped server. */
export class Moment implements Frozen {
  readonly takenAtMicros: number;
  readonly lineageOf = lineageOf;
  readonly #plan: MomentPlan;
  /** By path; filled by `files()`. */
  readonly #known = new Map<string, ListedFile>();

  constructor(plan: MomentPlan) {
    this.#plan = plan;
    this.takenAtMicros = plan.takenAtMicros;
  }

  get facts(): DatabaseMoment {
    const leftOut = this.#plan.leftOut();
    return {...this.#plan.facts, ...(leftOut.length === 0 ? {} : {leftOut})};
  }

  async *files(): AsyncGenerator<FrozenFile> {
    for (const listed of (await this.#plan.list()).sort(byPath)) {
      this.#known.set(listed.path, listed);
      const {openEnded, from, patches, make, check, ...file} = listed;
      yield file;
    }
  }

  async *read(
    file: FrozenFile,
    {memory = Buffer.allocUnsafeSlow}: {memory?: BlockMemory} = {},
  ): AsyncGenerator<Uint8Array> {
    const known = this.#known.get(file.path);
    if (known?.make !== undefined) yield* known.make(memory);
    else if (file.sizeBytes > file.blockBytes) yield* this.#readFile(file, known, memory);
    else if (file.sizeBytes > 0) yield this.#readBlock(file, known, memory);
    known?.check?.();
  }

  /**
   * A file of one block, read synchronously: most files are that small, and the thread pool would cost more than the
   * read.
   */
  #readBlock(file: FrozenFile, known: ListedFile | undefined, memory: BlockMemory): Buffer {
    const path = join(this.#plan.root, known?.from ?? file.path);
    const block = memory(file.sizeBytes);
    let open: number | undefined;
    try {
      open = openSync(path, 'r');
      for (let done = 0; done < block.length; ) {
        const bytesRead = readSync(open, block, done, block.length - done, done);
        if (bytesRead === 0) {
          if (!known?.openEnded) throw vanished(file);
          block.fill(0, done);
          break;
        }
        done += bytesRead;
      }
    } catch (error) {
      throw open === undefined && isAbsent(error) ? vanished(file) : unreadable(error, path, file.table);
    } finally {
      if (open !== undefined) closeSync(open);
    }
    for (const patch of known?.patches ?? []) apply(patch, [block], 0);
    return block;
  }

  async *#readFile(file: FrozenFile, known: ListedFile | undefined, memory: BlockMemory): AsyncGenerator<Uint8Array> {
    const path = join(this.#plan.root, known?.from ?? file.path);
    const handle = await open(path, 'r').catch((error: unknown) => {
      throw isAbsent(error) ? vanished(file) : unreadable(error, path, file.table);
    });
    try {
      for (let at = 0; at < file.sizeBytes; ) {
        const blocks: Buffer[] = [];
        for (let end = at; blocks.length < blocksAtOnce && end < file.sizeBytes; end += file.blockBytes) {
          blocks.push(memory(Math.min(file.blockBytes, file.sizeBytes - end)));
        }
        const wanted = blocks.reduce((sum, {length}) => sum + length, 0);
        const {bytesRead} = await handle.readv(blocks, at);
        if (bytesRead < wanted)
          await this.#readRest(file, blocks, bytesRead, (rest, from) => handle.read(rest, 0, rest.length, at + from));
        for (const patch of known?.patches ?? []) apply(patch, blocks, at);
        yield* blocks;
        at += wanted;
      }
    } catch (error) {
      throw unreadable(error, path, file.table);
    } finally {
      await handle.close();
    }
  }

  confirm(): Promise<void> {
    return this.#plan.confirm();
  }

  release(): Promise<void> {
    return this.#plan.release();
  }

  /** A read may return less than was requested, and the file may have become shorter. */
  async #readRest(
    file: FrozenFile,
    blocks: readonly Buffer[],
    start: number,
    read: (rest: Buffer, from: number) => Promise<{bytesRead: number}>,
  ): Promise<void> {
    let offset = 0;
    for (const block of blocks) {
      for (let done = Math.max(0, start - offset); done < block.length; ) {
        const rest = block.subarray(done);
        const {bytesRead} = await read(rest, offset + done);
        if (bytesRead === 0) {
          if (!this.#known.get(file.path)?.openEnded) throw vanished(file);
          rest.fill(0);
          done = block.length;
        }
        done += bytesRead;
      }
      offset += block.length;
    }
  }
}

/** @param start position of the first block in the file */
function apply({at, bytes}: Patch, blocks: readonly Buffer[], start: number): void {
  for (const block of blocks) {
    const from = Math.max(at, start);
    const to = Math.min(at + bytes.length, start + block.length);
    if (from < to) bytes.copy(block, from - start, from - at, to - at);
    start += block.length;
  }
}

function vanished({path, table}: FrozenFile): BkpError {
  const owner = table === undefined ? '' : ` of table ${table}`;
  return new BkpError('SOURCE_UNAVAILABLE', `${path}${owner} is gone, but the checkpoint needs it`, {
    cause: 'the server removed or truncated it while it was copied',
    next: 'take the backup again; versions of QuestDB after 9.3.4 keep such files until the checkpoint is released',
    context: {path, table},
    retryable: true,
  });
}
