/** One call over HTTP: JSON in, JSON out, problems typed, a lost answer asked for again under the same key. */

import { backoffMs } from './backoff.ts';
import { Problem } from './problem.ts';
import type { World } from './world.ts';

/** Long enough for a slow mobile link, short enough that somebody still waits for it. */
const TIMEOUT_MS = 20_000;
/** With the key sent along a repeat is harmless; more than three would only hide an outage. */
const ATTEMPTS_MAX = 3;

export interface HttpCall {
  token?: string | undefined;
  key?: string | undefined;
  timeoutMs?: number | undefined;
  /** Let the request outlive the page (used when it is being closed). */
  keepalive?: boolean | undefined;
  attempts?: number | undefined;
}

export class Http {
  readonly #world: World;
  readonly #base: string;

  constructor(world: World, base: string) {
    this.#world = world;
    this.#base = base;
  }

  async get<T>(path: string): Promise<T> {
    return this.#once<T>('GET', path, undefined, {});
  }

  async post<T>(method: string, params: unknown, call: HttpCall = {}): Promise<T> {
    const attempts = call.attempts ?? ATTEMPTS_MAX;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#once<T>('POST', `/api/v1/${method}`, params, call);
      } catch (error) {
        const problem = Problem.of(error);
        if (!problem.transient || attempt >= attempts) throw problem;
        await this.#sleep(problem.retryAfterMs ?? backoffMs(attempt, this.#world.random));
      }
    }
  }

  async #once<T>(verb: string, path: string, params: unknown, call: HttpCall): Promise<T> {
    const abort = new AbortController();
    const timer = this.#world.setTimeout(() => abort.abort(), call.timeoutMs ?? TIMEOUT_MS);
    const headers: Record<string, string> = { accept: 'application/json' };
    if (verb === 'POST') headers['content-type'] = 'application/json';
    if (call.token) headers['authorization'] = `Bearer ${call.token}`;
    if (call.key) headers['idempotency-key'] = call.key;
    try {
      const init: RequestInit = {
        method: verb,
        headers,
        credentials: 'same-origin',
        cache: 'no-store',
        keepalive: call.keepalive ?? false,
        signal: abort.signal,
      };
      if (verb === 'POST') init.body = JSON.stringify(params ?? {});
      const response = await this.#world.fetch(this.#base + path, init);
      if (!response.ok) throw await Problem.fromResponse(response);
      if (response.status === 204) return {} as T;
      const text = await response.text();
      return (text === '' ? {} : JSON.parse(text)) as T;
    } catch (error) {
      if (error instanceof Problem) throw error;
      throw abort.signal.aborted ? Problem.timeout() : Problem.network();
    } finally {
      this.#world.clearTimeout(timer);
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#world.setTimeout(resolve, ms));
  }
}
