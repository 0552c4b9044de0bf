/** What the client takes from its surroundings; a browser has all of it, tests bring their own. */

export interface World {
  fetch(input: string, init: RequestInit): Promise<Response>;
  socket(url: string, protocol: string): SocketLike;
  now(): number;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
  random(): number;
  newKey(): string;
  /** Runs `run` while no other tab of this origin holds the same name. */
  exclusive<T>(name: string, run: () => Promise<T>): Promise<T>;
  /** What other tabs of this origin are told; undefined where there are none. */
  channel(name: string): ChannelLike | undefined;
}

export interface SocketLike {
  send(data: string): void;
  close(code?: number, reason?: string): void;
  onopen: (() => void) | null;
  onclose: (() => void) | null;
  onerror: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
}

export interface ChannelLike {
  postMessage(message: unknown): void;
  onmessage: ((event: MessageEvent) => void) | null;
  close(): void;
}

/** `crypto.randomUUID` exists only in secure contexts; keys need uniqueness, so bytes will do everywhere. */
export function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function browserWorld(): World {
  return {
    fetch: (input, init) => fetch(input, init),
    socket: (url, protocol) => new WebSocket(url, protocol) as unknown as SocketLike,
    now: () => Date.now(),
    setTimeout: (run, ms) => setTimeout(run, ms),
    clearTimeout: (timer) => clearTimeout(timer as number),
    random: () => Math.random(),
    newKey: randomKey,
    exclusive: async (name, run) =>
      'locks' in navigator ? ((await navigator.locks.request(name, run)) as Awaited<ReturnType<typeof run>>) : run(),
    channel: (name) => (typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel(name)),
  };
}
