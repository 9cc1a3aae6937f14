/** Numbers of which only the maximum is known at first: memory is used for those that were added. */
class Growing<T extends Uint32Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>> {
  /** Grows with the buffer. */
  readonly values: T;
  length = 0;

  constructor(values: T) {
    this.values = values;
  }

  add(value: T[number]): void {
    const {buffer, BYTES_PER_ELEMENT} = this.values;
    if (this.length === this.values.length) {
      buffer.resize(Math.min(buffer.maxByteLength, Math.max(256 * BYTES_PER_ELEMENT, 2 * buffer.byteLength)));
    }
    this.values[this.length++] = value;
  }
}

const room = (bytes: number) => new ArrayBuffer(0, {maxByteLength: bytes});
export type GrowingUint32 = Growing<Uint32Array<ArrayBuffer>>;
export const growingUint32 = (most: number) => new Growing(new Uint32Array(room(4 * most)));
export const growingUint16 = (most: number) => new Growing(new Uint16Array(room(2 * most)));
export const growingBigInt64 = (most: number) => new Growing(new BigInt64Array(room(8 * most)));
