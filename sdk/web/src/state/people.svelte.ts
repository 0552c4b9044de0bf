/** The people of the organization and whether they are here. */

import type { Person, PresenceStatus, UserId } from '@vaxel/client';
import { SvelteMap } from 'svelte/reactivity';
import { i18n } from '../i18n/i18n.svelte.ts';
import { client, session } from './session.svelte.ts';

/** Pages fetched at most; beyond that names come as they are met. */
const PAGES_MAX = 50;
/** No sign of life for this long and others see "away". */
const AWAY_AFTER_MS = 5 * 60_000;

class People {
  byId = $state.raw<ReadonlyMap<UserId, Person>>(new Map());
  readonly presence = new SvelteMap<UserId, PresenceStatus>();
  loaded = $state(false);
  readonly sorted = $derived(
    [...this.byId.values()].sort((a, b) => i18n.collator.compare(a.display_name, b.display_name)),
  );
  readonly active = $derived(this.sorted.filter((person) => person.active !== false));
  #fetching: Promise<void> | undefined;
  #missingTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #asked = new Set<UserId>();
  #status: 'online' | 'away' = 'online';
  #awayTimer: ReturnType<typeof setTimeout> | undefined;

  name(id: UserId): string {
    const person = this.byId.get(id);
    if (person) return person.display_name;
    if (id === session.user && session.me) return session.me.user.display_name;
    this.#miss(id);
    return this.loaded ? i18n.t.unknownPerson : '…';
  }

  status(id: UserId): PresenceStatus {
    return this.presence.get(id) ?? 'offline';
  }

  fetch(): Promise<void> {
    this.#fetching ??= this.#fetchAll().finally(() => (this.#fetching = undefined));
    return this.#fetching;
  }

  async fetchPresence(): Promise<void> {
    const { items } = await client.call('presence/list', {});
    this.presence.clear();
    for (const { user, status } of items) this.presence.set(user, status);
  }

  watch(): void {
    client.on('presence.changed', ({ user, status }) => {
      this.presence.set(user, status);
      this.met(user);
    });
    const alive = () => {
      this.#say('online');
      clearTimeout(this.#awayTimer);
      this.#awayTimer = setTimeout(() => this.#say('away'), AWAY_AFTER_MS);
    };
    for (const type of ['pointerdown', 'keydown', 'focus'] as const) addEventListener(type, alive, { passive: true });
    client.onReady(() => {
      if (this.#status === 'away') void client.call('presence/set', { status: 'away' }).catch(() => undefined);
    });
    alive();
  }

  clear(): void {
    this.byId = new Map();
    this.presence.clear();
    this.#asked.clear();
    this.loaded = false;
  }

  #say(status: 'online' | 'away'): void {
    if (this.#status === status) return;
    this.#status = status;
    if (session.line === 'ready') void client.call('presence/set', { status }).catch(() => undefined);
  }

  async #fetchAll(): Promise<void> {
    const found = new Map<UserId, Person>();
    let cursor: string | undefined;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const answer = await client.call('users/list', cursor === undefined ? { limit: 100 } : { limit: 100, cursor });
      for (const person of answer.items) found.set(person.id, person);
      if (!answer.next) break;
      cursor = answer.next;
    }
    this.byId = found;
    this.loaded = true;
  }

  /** Somebody is here or wrote: whoever is not known, or was only invited, is looked up. */
  met(id: UserId): void {
    if (this.byId.get(id)?.active !== true) this.#miss(id);
  }

  /** Somebody new: fetch once, not once per message. */
  #miss(id: UserId): void {
    if (!this.loaded || id === '' || this.#asked.has(id)) return;
    this.#asked.add(id);
    clearTimeout(this.#missingTimer);
    this.#missingTimer = setTimeout(() => void this.fetch().catch(() => undefined), 300);
  }
}

export const people = new People();
