// A way to the server that can be cut: what a lift, a tunnel or a sleeping laptop does to a connection.

import { createServer, connect } from "node:net";

/** Passes bytes on to `port` until it is cut; while it is cut, whoever calls is hung up on. */
export async function openTunnel(port) {
  const pairs = new Set();
  let cut = false;
  const door = createServer((caller) => {
    if (cut) {
      caller.resetAndDestroy();
      return;
    }
    const called = connect(port, "127.0.0.1");
    const pair = [caller, called];
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      for (const side of pair) side.destroy();
    };
    for (const side of pair) side.on("error", end).on("close", end);
    caller.pipe(called).pipe(caller);
  });
  await new Promise((done) => door.listen(0, "127.0.0.1", done));
  return {
    port: door.address().port,
    cut() {
      cut = true;
      for (const pair of [...pairs]) for (const side of pair) side.destroy();
    },
    mend() {
      cut = false;
    },
    close() {
      this.cut();
      return new Promise((done) => door.close(done));
    },
  };
}
