/** A world for tests: time that moves only when told, real HTTP and real sockets to a small server. */

import { WebSocket } from 'ws';
import { randomKey, type ChannelLike, type SocketLike, type World } from '../src/world.ts';

interface Timer {
  at: number;
  run: () => void;
}

export class TestWorld implements World {
  #now = 1_000_000;
  #next = 1;
  #timers = new Map<number, Timer>();
  /** Shared by worlds that stand for tabs of one browser. */
  readonly browser: Browser;

  constructor(browser = new Browser()) {
    this.browser = browser;
  }

  now(): number {
    return this.#now;
  }

  setTimeout(run: () => void, ms: number): number {
    const id = this.#next;
    this.#next += 1;
    this.#timers.set(id, { at: this.#now + ms, run });
    return id;
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer as number);
  }

  /** Moves time on and runs what falls due, in order. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.at <= until).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].run();
    }
    this.#now = until;
  }

  fetch(input: string, init: RequestInit): Promise<Response> {
    return fetch(input, init);
  }

  socket(url: string, protocol: string): SocketLike {
    return new WebSocket(url, protocol) as unknown as SocketLike;
  }

  random(): number {
    return 0.5;
  }

  newKey(): string {
    return randomKey();
  }

  exclusive<T>(name: string, run: () => Promise<T>): Promise<T> {
    return this.browser.exclusive(name, run);
  }

  channel(): ChannelLike {
    return this.browser.channel();
  }
}

/** What tabs of one origin share. */
export class Browser {
  #tail = new Map<string, Promise<unknown>>();
  #channels = new Set<ChannelLike>();

  exclusive<T>(name: string, run: () => Promise<T>): Promise<T> {
    const turn = (this.#tail.get(name) ?? Promise.resolve()).then(run, run);
    this.#tail.set(name, turn.catch(() => undefined));
    return turn;
  }

  channel(): ChannelLike {
    const channel: ChannelLike = {
      onmessage: null,
      close: () => this.#channels.delete(channel),
      postMessage: (data) => {
        for (const other of this.#channels) if (other !== channel) other.onmessage?.({ data } as MessageEvent);
      },
    };
    this.#channels.add(channel);
    return channel;
  }
}

/** Waits for a condition that the other side of a real connection brings about. */
export async function until(condition: () => boolean, what = 'condition'): Promise<void> {
  for (let turn = 0; turn < 5_000; turn += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error(`never happened: ${what}`);
}
