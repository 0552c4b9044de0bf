/** The live line: one socket that authenticates, renews in place, reconnects, and resumes where it was. */

import { backoffMs } from './backoff.ts';
import { Problem, type ProblemBody } from './problem.ts';
import type { Session } from './session.ts';
import type { SocketLike, World } from './world.ts';

export type SocketState = 'idle' | 'connecting' | 'ready' | 'waiting' | 'ended';
export type ByeCode = 'draining' | 'revoked' | 'expired' | 'slow';

interface Frame {
  type: 'ready' | 'result' | 'error' | 'event' | 'bye';
  id?: number;
  cursor?: string;
  code?: string;
  result?: unknown;
  error?: ProblemBody;
  topic?: string;
  data?: unknown;
  retry_after_ms?: number;
}

type Timer = 'retry' | 'renew' | 'quiet' | 'auth';

interface Open {
  frame: string;
  timer: unknown;
  resolve(result: unknown): void;
  reject(problem: Problem): void;
}

export interface SocketListener {
  state?(state: SocketState): void;
  /** `resumed` is true when nothing was missed; otherwise what is shown must be fetched again. */
  ready?(resumed: boolean): void;
  event?(topic: string, data: unknown): void;
  bye?(code: ByeCode): void;
}

/** The server refuses the 33rd open call; the rest wait here. */
const OPEN_CALLS_MAX = 24;
/** Matches the server's own limit for a call, with room for the way there and back. */
const CALL_TIMEOUT_MS = 15_000;
/** The access token is renewed this long before it ends. */
const RENEW_LEAD_MS = 60_000;
/** A line this quiet is asked whether it still lives: phones and proxies drop sockets without a word. */
const QUIET_MS = 45_000;
/** How long `auth` may take before the line counts as dead. */
const AUTH_TIMEOUT_MS = 10_000;

export class Socket {
  readonly #world: World;
  readonly #session: Session;
  readonly #url: string;
  readonly #listener: SocketListener;
  #state: SocketState = 'idle';
  #line: SocketLike | undefined;
  #cursor: string | undefined;
  #resuming = false;
  #attempt = 0;
  #nextId = 1;
  #open = new Map<number, Open>();
  #queue: { id: number; call: Open }[] = [];
  #timers: Record<Timer, unknown> = {
    retry: undefined,
    renew: undefined,
    quiet: undefined,
    auth: undefined,
  };

  constructor(world: World, session: Session, url: string, listener: SocketListener) {
    this.#world = world;
    this.#session = session;
    this.#url = url;
    this.#listener = listener;
  }

  get state(): SocketState {
    return this.#state;
  }

  /** Connects now, also when it was waiting for its next attempt (the network came back, the lid was opened). */
  start(): void {
    if (this.#state === 'connecting' || this.#state === 'ready') return;
    this.#clear('retry');
    void this.#connect();
  }

  stop(): void {
    this.#drop(Problem.network('the session has ended'));
    this.#cursor = undefined;
    this.#enter('ended');
  }

  /** Asks a line that may have died unseen; a dead one is replaced. */
  probe(): void {
    if (this.#state === 'ready') void this.#authenticate();
    else if (this.#state === 'waiting') this.start();
  }

  call(method: string, params: unknown, options: { key?: string | undefined; timeoutMs?: number | undefined } = {}): Promise<unknown> {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve, reject) => {
      const frame = JSON.stringify({ type: 'call', id, method, params, idempotency_key: options.key });
      const timer = this.#world.setTimeout(() => this.#expire(id), options.timeoutMs ?? CALL_TIMEOUT_MS);
      const call: Open = { frame, timer, resolve, reject };
      if (this.#state !== 'ready') {
        this.#world.clearTimeout(timer);
        reject(Problem.network());
      } else if (this.#open.size >= OPEN_CALLS_MAX) {
        this.#queue.push({ id, call });
      } else {
        this.#sendCall(id, call);
      }
    });
  }

  async #connect(): Promise<void> {
    this.#enter('connecting');
    let token: string;
    try {
      token = (await this.#session.token()).value;
    } catch (error) {
      const problem = Problem.of(error);
      if (this.#state !== 'connecting') return;
      if (problem.transient || problem.status === 429) this.#retry(problem.retryAfterMs);
      else this.stop();
      return;
    }
    if (this.#state !== 'connecting') return;
    let line: SocketLike;
    try {
      line = this.#world.socket(this.#url, 'vaxel.v1');
    } catch {
      this.#retry();
      return;
    }
    this.#line = line;
    line.onopen = () => this.#sendAuth(token, this.#cursor);
    line.onmessage = (event) => {
      if (this.#line === line && typeof event.data === 'string') this.#receive(event.data);
    };
    line.onerror = () => undefined;
    line.onclose = () => {
      if (this.#line === line) this.#retry();
    };
    this.#arm('auth', AUTH_TIMEOUT_MS, () => this.#retry());
  }

  #sendAuth(token: string, resume: string | undefined): void {
    this.#resuming = resume !== undefined;
    this.#write(JSON.stringify(resume === undefined ? { type: 'auth', token } : { type: 'auth', token, resume }));
  }

  /** Renews on the same line; the answer also proves that the line lives. */
  async #authenticate(forMs = RENEW_LEAD_MS): Promise<void> {
    const line = this.#line;
    try {
      const token = await this.#session.token(forMs);
      if (this.#line !== line || this.#state !== 'ready') return;
      this.#write(JSON.stringify({ type: 'auth', token: token.value }));
      this.#arm('auth', AUTH_TIMEOUT_MS, () => this.#retry());
      this.#armRenew(token.expiresAt);
    } catch (error) {
      const problem = Problem.of(error);
      if (!problem.transient && problem.status !== 429) this.stop();
      // Otherwise the old token still holds for a while: try again before it ends.
      else if (this.#line === line) this.#arm('renew', backoffMs(3, this.#world.random), () => void this.#authenticate(forMs));
    }
  }

  #armRenew(expiresAt: number): void {
    const left = expiresAt - this.#world.now();
    // Very short tokens (tests, a worried admin) are renewed half-way instead.
    const lead = Math.min(RENEW_LEAD_MS, left / 2);
    this.#arm('renew', Math.max(0, left - lead), () => void this.#authenticate(lead + 1));
  }

  #receive(text: string): void {
    this.#arm('quiet', QUIET_MS, () => this.probe());
    let frame: Frame;
    try {
      frame = JSON.parse(text) as Frame;
    } catch {
      return;
    }
    if (frame.type === 'event') this.#event(frame);
    else if (frame.type === 'result') this.#settle(frame.id, (call) => call.resolve(frame.result));
    else if (frame.type === 'ready') this.#ready(frame);
    else if (frame.type === 'bye') this.#bye(frame);
    else if (frame.type === 'error' && frame.id !== undefined) {
      this.#settle(frame.id, (call) => call.reject(new Problem(frame.error ?? {})));
    } else if (frame.type === 'error') this.#lineError(new Problem({ ...frame.error, ...(frame.code ? { code: frame.code } : {}) }));
  }

  #event(frame: Frame): void {
    // The cursor moves only after the event was taken, so that a crash in between repeats it rather than loses it.
    if (frame.topic !== undefined) this.#listener.event?.(frame.topic, frame.data);
    if (frame.cursor !== undefined) this.#cursor = frame.cursor;
  }

  #ready(frame: Frame): void {
    this.#clear('auth');
    if (this.#state === 'ready') return;
    const expired = frame.code?.replaceAll('-', '_') === 'cursor_expired';
    const resumed = this.#resuming && !expired;
    // The server names where this line stands: before what it will replay, never after.
    this.#cursor = frame.cursor ?? this.#cursor;
    this.#attempt = 0;
    this.#enter('ready');
    void this.#session.token(0).then((token) => this.#armRenew(token.expiresAt), () => undefined);
    this.#listener.ready?.(resumed);
  }

  /** An error without an id is about the line itself. */
  #lineError(problem: Problem): void {
    if (problem.code === 'cursor_expired') {
      if (this.#state === 'connecting') {
        this.#cursor = undefined;
        void this.#session.token().then((token) => this.#sendAuth(token.value, undefined), () => this.#retry());
      } else {
        this.#listener.ready?.(false);
      }
    } else if (problem.code === 'revoked' || problem.status === 401) {
      void this.#session.renew().then(() => this.#retry(), () => this.#retry());
    }
  }

  #bye(frame: Frame): void {
    if (frame.cursor !== undefined && this.#cursor !== undefined) this.#cursor = frame.cursor;
    const code = (frame.code ?? 'draining') as ByeCode;
    this.#listener.bye?.(code);
    if (code === 'revoked' || code === 'expired') {
      // Only the session knows whether there is still a way back in.
      this.#drop(Problem.network());
      this.#enter('waiting');
      void this.#session.renew().then(
        () => this.#retry(frame.retry_after_ms ?? 0),
        (error: unknown) => (Problem.of(error).transient ? this.#retry() : this.stop()),
      );
    } else {
      this.#retry(frame.retry_after_ms);
    }
  }

  #retry(afterMs?: number): void {
    if (this.#state === 'ended') return;
    this.#drop(Problem.network('the line was lost'));
    const wait = backoffMs(this.#attempt, this.#world.random);
    this.#attempt += 1;
    this.#enter('waiting');
    // A named time is spread by up to half a wait, or everyone would return at once.
    this.#arm('retry', afterMs === undefined ? wait : afterMs + wait / 2, () => void this.#connect());
  }

  #drop(problem: Problem): void {
    const line = this.#line;
    this.#line = undefined;
    for (const timer of ['retry', 'renew', 'quiet', 'auth'] as const) this.#clear(timer);
    if (line) {
      line.onclose = line.onmessage = line.onopen = null;
      line.close();
    }
    const calls = [...this.#open.values(), ...this.#queue.map((waiting) => waiting.call)];
    this.#open.clear();
    this.#queue = [];
    for (const call of calls) {
      this.#world.clearTimeout(call.timer);
      call.reject(problem);
    }
  }

  #sendCall(id: number, call: Open): void {
    this.#open.set(id, call);
    this.#write(call.frame);
  }

  #settle(id: number | undefined, how: (call: Open) => void): void {
    const call = id === undefined ? undefined : this.#open.get(id);
    if (id === undefined || !call) return;
    this.#open.delete(id);
    this.#world.clearTimeout(call.timer);
    how(call);
    const next = this.#queue.shift();
    if (next) this.#sendCall(next.id, next.call);
  }

  #expire(id: number): void {
    this.#queue = this.#queue.filter((waiting) => waiting.id !== id || (waiting.call.reject(Problem.timeout()), false));
    this.#settle(id, (call) => call.reject(Problem.timeout()));
    this.probe();
  }

  #write(data: string): void {
    try {
      this.#line?.send(data);
    } catch {
      this.#retry();
    }
  }

  #arm(name: Timer, ms: number, run: () => void): void {
    this.#clear(name);
    this.#timers[name] = this.#world.setTimeout(run, ms);
  }

  #clear(name: Timer): void {
    this.#world.clearTimeout(this.#timers[name]);
    this.#timers[name] = undefined;
  }

  #enter(state: SocketState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#listener.state?.(state);
  }
}
