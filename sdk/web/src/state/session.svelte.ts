/** Who is signed in, what their organization has switched on, and whether the line stands. */

import { Client, Problem, type Me, type PublicInfo, type SocketState } from '@vaxel/client';
import { i18n } from '../i18n/i18n.svelte.ts';
import { keys, read, write } from '../lib/store.ts';

export const client = new Client(location.origin);

/** Longer than a reconnect after a lost frame of Wi-Fi: shorter gaps are not worth a word. */
const OFFLINE_AFTER_MS = 2_500;

type Phase = 'starting' | 'unreachable' | 'start' | 'signed_out' | 'signed_in';

class SessionState {
  phase = $state<Phase>('starting');
  info = $state.raw<PublicInfo | undefined>();
  me = $state.raw<Me | undefined>();
  line = $state<SocketState>('idle');
  offline = $state(false);
  ended = $state(false);
  /** What must still be done while there is a session to do it in. */
  beforeLeaving: () => Promise<void> = () => Promise.resolve();
  #offlineTimer: ReturnType<typeof setTimeout> | undefined;

  get user(): string {
    return this.me?.user.id ?? '';
  }

  get admin(): boolean {
    return this.me?.user.admin ?? false;
  }

  /** May tidy up after others in the channels they are in: as administrator, or by a role. */
  get moderates(): boolean {
    return this.admin || (this.me?.permissions.includes('chat.moderate') ?? false);
  }

  has(plugin: string): boolean {
    return this.me?.plugins.includes(plugin) ?? false;
  }

  async begin(): Promise<void> {
    this.phase = 'starting';
    try {
      this.info = await client.info();
      // A link from the start page brings the language that was read there along.
      const along = /^#demo=\w+&lang=(sv|en)$/.exec(location.hash)?.[1];
      if (along === 'sv' || along === 'en') i18n.choose(along);
      i18n.start(this.info.tenant?.locale);
      if (!this.info.tenant) {
        this.phase = 'start';
        return;
      }
      // Only a browser that was signed in has something to continue.
      const user = read('signed-in') === null || location.hash.startsWith('#demo=') ? undefined : await client.session.restore();
      if (user) await this.enter();
      else this.phase = 'signed_out';
    } catch (error) {
      if (Problem.of(error).transient) this.phase = 'unreachable';
      else this.phase = 'signed_out';
    }
  }

  /** After any way of signing in: fetch who we are, then open the line. */
  async enter(): Promise<void> {
    await this.refresh();
    write('signed-in', '1');
    this.ended = false;
    this.phase = 'signed_in';
    client.connect();
  }

  async refresh(): Promise<void> {
    const me = await client.call('users/me', {});
    this.me = me;
    if (read('locale') === null && me.user.locale) i18n.use(me.user.locale);
  }

  /** A plugin was switched on or off here. */
  switched(plugin: string, enabled: boolean): void {
    if (!this.me || this.has(plugin) === enabled) return;
    const others = this.me.plugins.filter((each) => each !== plugin);
    this.me = { ...this.me, plugins: enabled ? [...others, plugin] : others };
  }

  /** Leaving by choice takes what was begun here along; a session that merely ended keeps it. */
  async leave(): Promise<void> {
    await this.beforeLeaving();
    for (const key of [...keys(`draft:${this.user}:`), ...keys(`outbox:${this.user}:`)]) write(key, null);
    client.disconnect();
    await client.session.logout().catch(() => undefined);
    this.gone(false);
  }

  gone(ended: boolean): void {
    client.disconnect();
    write('signed-in', null);
    this.me = undefined;
    this.ended = ended;
    this.phase = 'signed_out';
  }

  watch(): void {
    client.session.onChange((change) => {
      if (change === 'signed_out' && this.phase === 'signed_in') this.gone(true);
      else if (change === 'other_user') location.reload();
    });
    client.onState((state) => {
      this.line = state;
      clearTimeout(this.#offlineTimer);
      if (state === 'ready' || state === 'idle' || state === 'ended') this.offline = false;
      else if (!this.offline) this.#offlineTimer = setTimeout(() => (this.offline = true), OFFLINE_AFTER_MS);
    });
    addEventListener('online', () => client.wake());
    addEventListener('offline', () => client.wake());
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible' && this.phase === 'signed_in') client.wake();
    });
  }
}

export const session = new SessionState();

/** What to tell a person about a problem, in their language. */
export function explain(error: unknown): string {
  const problem = Problem.of(error);
  const texts = i18n.t.problem;
  if (problem.code === 'timeout') return texts.timeout;
  if (problem.status === 0) return texts.network;
  if (problem.status === 403) return texts.forbidden;
  if (problem.status === 404) return texts.gone;
  if (problem.status === 429) return texts.limit;
  if (problem.status === 503) return texts.busy;
  // 400, 409 and 422 say what was wrong with this very input, which only the server knows.
  if (problem.status >= 400 && problem.status < 500 && problem.message) return problem.message;
  return problem.requestId ? `${texts.other} ${texts.reference(problem.requestId)}` : texts.other;
}
