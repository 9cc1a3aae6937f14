import {open} from 'node:fs/promises';
import {join} from 'node:path';
import {BkpError} from '../../errors/index.ts';
import type {DatabaseMoment, Frozen, FrozenFile} from '../file-source.ts';
import {isAbsent, unreadable} from './bytes.ts';
import {lineageOf} from './lineage.ts';
import {byPath, type ListedFile} from './listed-file.ts';

/** Blocks that one system call reads: with more, memory grows and the call costs nothing any more. */
const blocksAtOnce = 8;

export type MomentPlan = {
  root: string;
  takenAtMicros: number;
  facts: DatabaseMoment;
  list: () => Promise<ListedFile[]>;
  confirm: () => Promise<void>;
  release: () => Promise<void>;
};

/** One moment of a root, held by a checkpoint, or because the server is stopped. */
export class Moment implements Frozen {
  readonly takenAtMicros: number;
  readonly facts: DatabaseMoment;
  readonly lineageOf = lineageOf;
  readonly #plan: MomentPlan;
  /** Paths whose end is where zeros begin: see ListedFile. */
  readonly #openEnded = new Set<string>();

  constructor(plan: MomentPlan) {
    this.#plan = plan;
    this.takenAtMicros = plan.takenAtMicros;
    this.facts = plan.facts;
  }

  async *files(): AsyncGenerator<FrozenFile> {
    for (const {openEnded, ...file} of (await this.#plan.list()).sort(byPath)) {
      if (openEnded) this.#openEnded.add(file.path);
      yield file;
    }
  }

  async *read(
    file: FrozenFile,
    {memory = Buffer.allocUnsafeSlow}: {memory?: (sizeBytes: number) => Buffer} = {},
  ): AsyncGenerator<Uint8Array> {
    if (file.sizeBytes === 0) return;
    const path = join(this.#plan.root, file.path);
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

  /** A call may give less than was asked for, and a file may have become shorter. */
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
          if (!this.#openEnded.has(file.path)) throw vanished(file);
          rest.fill(0);
          done = block.length;
        }
        done += bytesRead;
      }
      offset += block.length;
    }
  }
}

function vanished({path, table}: FrozenFile): BkpError {
  const owner = table === undefined ? '' : ` of table ${table}`;
  return new BkpError('SOURCE_UNAVAILABLE', `${path}${owner} is gone, and the checkpoint needs it`, {
    cause: 'the server removed or cut it while it was copied',
    next: 'take the backup again; QuestDB after 9.3.4 keeps such files until the checkpoint is released',
    context: {path, ...(table === undefined ? {} : {table})},
    retryable: true,
  });
}
