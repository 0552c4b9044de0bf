/** The whole API behind one door: typed calls over the socket when it is up and over HTTP otherwise, and typed events. */

import { Http } from './http.ts';
import { Problem } from './problem.ts';
import { Session } from './session.ts';
import { Socket, type ByeCode, type SocketState } from './socket.ts';
import type { Events, MethodName, Methods, PublicInfo, Topic } from './types.ts';
import { browserWorld, type World } from './world.ts';

export interface CallOptions {
  /** The same key makes a repeat of this call safe; one is made up where none is given. */
  key?: string;
  timeoutMs?: number;
  /** Not over the socket: the answer sets a cookie. */
  overHttp?: boolean;
}

/** Methods that only read, or whose repeat changes nothing: they travel without a key. */
const KEYLESS = /(^session\/|[./](list|get|history|me|discover|invite_preview|typing|set|mark_read|use|would_touch|health|dead_letters|connections|templates|results|texts|export|looks)$)/;

type Listener<T> = (data: T) => void;

export class Client {
  readonly session: Session;
  readonly #world: World;
  readonly #http: Http;
  readonly #socket: Socket;
  readonly #topics = new Map<string, Set<Listener<never>>>();
  readonly #states = new Set<Listener<SocketState>>();
  readonly #readies = new Set<Listener<boolean>>();
  readonly #byes = new Set<Listener<ByeCode>>();

  constructor(base: string, world: World = browserWorld()) {
    this.#world = world;
    this.#http = new Http(world, base);
    this.session = new Session(world, this.#http);
    const url = `${base.replace(/^http/, 'ws')}/api/v1/socket`;
    this.#socket = new Socket(world, this.session, url, {
      state: (state) => this.#states.forEach((listener) => listener(state)),
      ready: (resumed) => this.#readies.forEach((listener) => listener(resumed)),
      bye: (code) => this.#byes.forEach((listener) => listener(code)),
      event: (topic, data) => this.#hear(topic, data),
    });
  }

  get state(): SocketState {
    return this.#socket.state;
  }

  info(): Promise<PublicInfo> {
    return this.#http.get<PublicInfo>('/api/v1/public/info');
  }

  connect(): void {
    this.#socket.start();
  }

  disconnect(): void {
    this.#socket.stop();
  }

  /** The surroundings changed (online again, woken up): find out now whether the line still stands. */
  wake(): void {
    this.#socket.probe();
  }

  async call<N extends MethodName>(
    method: N,
    params: Methods[N]['params'],
    options: CallOptions = {},
  ): Promise<Methods[N]['result']> {
    const key = options.key ?? (KEYLESS.test(method) ? undefined : this.#world.newKey());
    if (this.#socket.state === 'ready' && !options.overHttp) {
      try {
        return (await this.#socket.call(method, params, { key, timeoutMs: options.timeoutMs })) as Methods[N]['result'];
      } catch (error) {
        // Nobody refused, the line broke: the key makes asking once more over HTTP safe.
        const problem = Problem.of(error);
        if (problem.status !== 0 || problem.code === 'timeout') throw problem;
      }
    }
    return this.#overHttp<Methods[N]['result']>(method, params, key, options.timeoutMs);
  }

  /** A last call while the page goes away: not waited for, but carried out. */
  callAndLeave<N extends MethodName>(method: N, params: Methods[N]['params']): void {
    void this.session
      .token(0)
      .then((token) => this.#http.post(method, params, { token: token.value, key: this.#world.newKey(), keepalive: true, attempts: 1 }))
      .catch(() => undefined);
  }

  on<T extends Topic>(topic: T, listener: Listener<Events[T]>): () => void {
    const set = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, set);
    set.add(listener as Listener<never>);
    return () => set.delete(listener as Listener<never>);
  }

  /** Follows a topic of a plugin that this client knows nothing else of. */
  follow(topic: string, listener: () => void): () => void {
    return this.on(topic as Topic, listener);
  }

  onState(listener: Listener<SocketState>): () => void {
    this.#states.add(listener);
    return () => this.#states.delete(listener);
  }

  /** Called with false when what is shown must be fetched (first connection, or too long away to resume). */
  onReady(listener: Listener<boolean>): () => void {
    this.#readies.add(listener);
    return () => this.#readies.delete(listener);
  }

  onBye(listener: Listener<ByeCode>): () => void {
    this.#byes.add(listener);
    return () => this.#byes.delete(listener);
  }

  #hear(topic: string, data: unknown): void {
    this.#topics.get(topic)?.forEach((listener) => listener(data as never));
    // A crowd comes as one list, which nobody who follows single people needs to know.
    if (topic === 'presence.listed') {
      for (const item of (data as Events['presence.listed']).items) this.#hear('presence.changed', item);
    }
  }

  async #overHttp<T>(method: string, params: unknown, key: string | undefined, timeoutMs: number | undefined): Promise<T> {
    const open = method === 'users/invite_preview';
    const token = open ? undefined : (await this.session.token()).value;
    try {
      return await this.#http.post<T>(method, params, { token, key, timeoutMs });
    } catch (error) {
      const problem = Problem.of(error);
      if (problem.status !== 401 || open) throw problem;
      // The token ended early (revoked, keys rotated): one renewal decides whether the session lives.
      const renewed = await this.session.renew();
      return this.#http.post<T>(method, params, { token: renewed.value, key, timeoutMs });
    }
  }
}
