/** Who is signed in: the access token in memory, renewed once for all tabs, ended for all tabs. */

import type { Http } from './http.ts';
import { Problem } from './problem.ts';
import type { SignedIn, User, UserId } from './types.ts';
import type { ChannelLike, World } from './world.ts';

export interface Token {
  value: string;
  expiresAt: number;
}

type TabMessage =
  | { type: 'token'; token: Token; user: User }
  | { type: 'signed_out' };

export type SessionChange = 'signed_in' | 'renewed' | 'signed_out' | 'other_user';

/** Renew this long before the end, so that a call never starts with a token that dies on the way. */
const LEAD_MS = 30_000;
const LOCK = 'vaxel.session';

export class Session {
  readonly #world: World;
  readonly #http: Http;
  readonly #channel: ChannelLike | undefined;
  readonly #listeners = new Set<(change: SessionChange) => void>();
  #token: Token | undefined;
  #user: User | undefined;
  #renewing: Promise<Token> | undefined;

  constructor(world: World, http: Http) {
    this.#world = world;
    this.#http = http;
    this.#channel = world.channel(LOCK);
    if (this.#channel) this.#channel.onmessage = (event) => this.#hear(event.data as TabMessage);
  }

  get user(): User | undefined {
    return this.#user;
  }

  get signedIn(): boolean {
    return this.#token !== undefined;
  }

  onChange(listener: (change: SessionChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async login(login: string, password: string): Promise<User> {
    return this.adopt(await this.#http.post<SignedIn>('session/login', { login, password }, { attempts: 1 }));
  }

  /** One click in the demo; the server knows this method nowhere else. */
  async demo(user: UserId): Promise<User> {
    return this.adopt(await this.#http.post<SignedIn>('session/demo', { user }, { attempts: 1 }));
  }

  async accept(token: string, password: string): Promise<User> {
    return this.adopt(await this.#http.post<SignedIn>('users/accept', { token, password }, { attempts: 1 }));
  }

  /** Continues the session that the refresh cookie stands for; undefined when there is none. */
  async restore(): Promise<User | undefined> {
    try {
      await this.token();
      return this.#user;
    } catch (error) {
      const problem = Problem.of(error);
      if (problem.transient) throw problem;
      return undefined;
    }
  }

  /** A token good for at least `forMs` more, renewed if need be. Rejects with 401 once the session has ended. */
  async token(forMs = LEAD_MS): Promise<Token> {
    const held = this.#token;
    if (held && held.expiresAt - this.#world.now() > forMs) return held;
    return this.renew(forMs);
  }

  renew(forMs = LEAD_MS): Promise<Token> {
    this.#renewing ??= this.#renewOnce(forMs).finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async logout(): Promise<void> {
    // Told first, the other tabs do not ask a server that has just ended their session whether it lives.
    this.#channel?.postMessage({ type: 'signed_out' } satisfies TabMessage);
    try {
      await this.#http.post('session/logout', {}, { token: this.#token?.value, attempts: 1 });
    } finally {
      this.#end();
    }
  }

  /** Takes over an answer that carries a token, and tells the other tabs. */
  adopt(answer: SignedIn): User {
    const first = this.#token === undefined;
    const token = { value: answer.access_token, expiresAt: this.#world.now() + answer.expires_in * 1000 };
    this.#token = token;
    this.#user = answer.user;
    this.#channel?.postMessage({ type: 'token', token, user: answer.user } satisfies TabMessage);
    this.#tell(first ? 'signed_in' : 'renewed');
    return answer.user;
  }

  close(): void {
    this.#channel?.close();
    this.#listeners.clear();
  }

  async #renewOnce(forMs: number): Promise<Token> {
    const before = this.#token;
    return this.#world.exclusive(LOCK, async () => {
      // Another tab may have renewed while this one waited for its turn.
      const now = this.#token;
      if (now && now !== before && now.expiresAt - this.#world.now() > forMs) return now;
      try {
        this.adopt(await this.#http.post<SignedIn>('session/refresh', {}));
      } catch (error) {
        const problem = Problem.of(error);
        if (problem.status === 401 || problem.status === 403) this.#end();
        throw problem;
      }
      if (!this.#token) throw new Problem({ code: 'unauthenticated' }, 401);
      return this.#token;
    });
  }

  #hear(message: TabMessage): void {
    if (message.type === 'signed_out') {
      this.#end();
    } else if (this.#user && this.#user.id !== message.user.id) {
      // The cookie now stands for somebody else: this tab must not go on under the old name.
      this.#token = undefined;
      this.#tell('other_user');
    } else if (this.#user) {
      this.#token = message.token;
      this.#tell('renewed');
    }
  }

  #end(): void {
    const had = this.#token !== undefined;
    this.#token = undefined;
    this.#user = undefined;
    if (had) this.#tell('signed_out');
  }

  #tell(change: SessionChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }
}
