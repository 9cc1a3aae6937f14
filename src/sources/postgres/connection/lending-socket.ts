import {Socket} from 'node:net';
import {ReadArea} from '../rows/read-area.ts';

/**
 * A socket that reads into the same memory each time.
 *
 * Emits `lent` with an area that has what was read, or, if nothing listens to it, `data` with bytes of their own. What
 * the listener keeps in the area is in front of what is read next. After a listener has paused it, it overwrites
 * nothing until it is resumed.
 */
export class LendingSocket extends Socket {
  constructor() {
    const area = new ReadArea();
    const onRead = (count: number): boolean => {
      area.add(count);
      if (!this.emit('lent', area)) {
        this.emit('data', Buffer.from(area.bytes));
        area.keep(0);
      }
      return true;
    };
    // The types of Node know `onread` only for `connect`. Source: lib/net.js of Node 24.
    const options = {onread: {buffer: () => area.room, callback: onRead}};
    super(options as unknown as ConstructorParameters<typeof Socket>[0]);
    this.on('close', () => area.release());
  }
}
