/** One plugin as an administrator has it open: what the server says of it, and what can be done with it. */

import { Problem, type PluginAsk, type PluginDetails } from '@vaxel/client';
import { tick } from 'svelte';
import { i18n } from '../i18n/i18n.svelte.ts';
import { read, write } from '../lib/store.ts';
import { onReturn, refreshSession } from '../state/live.ts';
import { people } from '../state/people.svelte.ts';
import { client, explain, session } from '../state/session.svelte.ts';
import { toasts } from '../state/toasts.svelte.ts';
import { count } from './amounts.ts';
import { texts } from './texts/texts.ts';
import { nameOf } from './words.ts';

/** That a plugin rests, stops or is moved is told by nobody. */
export const LOOK_MS = 20_000;
/** As long as anything else that is taken back by a notice. */
const UNDO_MS = 10_000;

export class PluginPage {
  readonly id: string;
  details = $state.raw<PluginDetails | undefined>();
  problem = $state<string | undefined>();
  gone = $state(false);
  busy = $state(false);

  constructor(id: string) {
    this.id = id;
  }

  get name(): string {
    return this.details ? nameOf(this.details) : (i18n.t.plugins.known[this.id]?.name ?? this.id);
  }

  /** Follows what others do with it, for as long as the page stands open. */
  watch(): () => void {
    void this.load();
    const here = () => void this.load();
    const stops = [client.on('plugins.switched', ({ plugin }) => plugin === this.id && here()), client.onReady((resumed) => resumed || here()), onReturn(here)];
    const timer = setInterval(() => document.visibilityState === 'visible' && here(), LOOK_MS);
    addEventListener('focus', here);
    return () => {
      clearInterval(timer);
      stops.forEach((stop) => stop());
      removeEventListener('focus', here);
    };
  }

  async load(): Promise<void> {
    try {
      this.details = await client.call('plugins/get', { plugin: this.id });
      this.problem = undefined;
      this.gone = false;
    } catch (error) {
      this.gone = Problem.of(error).status === 404;
      this.problem = explain(error);
    }
  }

  /** What people gain by it. */
  gain(): string {
    return texts().enableHint(this.name, count(people.active.length));
  }

  /** What people lose without it. */
  loss(): string {
    return texts().loss(session.me?.user.display_name ?? '', Math.max(0, people.active.length - 1), this.name);
  }

  enable(grants: string[]): Promise<boolean> {
    return this.#act(() => client.call('plugins/enable', { plugin: this.id, ...this.#seen(), grants }), () => toasts.show(i18n.t.plugins.enabled(this.name)));
  }

  disable(): Promise<boolean> {
    return this.#act(() => client.call('plugins/disable', { plugin: this.id }), () => toasts.show(i18n.t.plugins.disabled(this.name)));
  }

  grant(grants: string[]): Promise<boolean> {
    return this.#act(() => client.call('plugins/grant', { plugin: this.id, ...this.#seen(), grants }), () => toasts.show(texts().asks.saved));
  }

  upgrade(version: string, grants: string[]): Promise<boolean> {
    return this.#act(() => client.call('plugins/upgrade', { plugin: this.id, version, grants }), () => toasts.show(texts().update.done(this.name, version)));
  }

  /** At once and without a question, for when something is wrong; a moment later it can be taken back. */
  rollback(former: string): Promise<boolean> {
    const left = this.details;
    return this.#act(
      async () => {
        await client.call('plugins/rollback', { plugin: this.id });
        // Whoever has just left a version is not asked for it again.
        if (left) stayOn(this.id, left.version);
      },
      () => {
        const again = left ? { label: i18n.t.undo, run: () => void this.upgrade(left.version, granted(left.asks)) } : undefined;
        toasts.show(texts().versions.wentBack(this.name, former), { action: again, forMs: UNDO_MS });
      },
    );
  }

  /** Nothing that was erased comes back; what was only put away does, as it was. */
  uninstall(erase: boolean): Promise<boolean> {
    const { kept, erased } = texts().uninstall;
    const left = this.details;
    return this.#act(
      () => client.call('plugins/uninstall', { plugin: this.id, erase }),
      () => {
        const again = !erase && left?.enabled ? { label: i18n.t.undo, run: () => void this.#back(left) } : undefined;
        toasts.show((erase ? erased : kept)(this.name), { action: again, forMs: UNDO_MS });
      },
    );
  }

  #back({ version, asks }: PluginDetails): Promise<boolean> {
    return this.#act(() => client.call('plugins/enable', { plugin: this.id, version, grants: granted(asks) }), () => toasts.show(i18n.t.plugins.enabled(this.name)));
  }

  /** What was read is what is agreed to: another version may have come since, with other hosts behind the same words. */
  #seen(): { version?: string } {
    return this.details ? { version: this.details.version } : {};
  }

  async #act(act: () => Promise<unknown>, done: () => void): Promise<boolean> {
    this.busy = true;
    try {
      await act();
      await Promise.all([this.load(), refreshSession()]);
      done();
      return true;
    } catch (error) {
      toasts.problem(error);
      await this.load();
      return false;
    } finally {
      this.busy = false;
      await tick();
      // What was pressed may be gone with what it changed.
      if (document.activeElement === document.body) document.getElementById('plugin-head')?.focus({ preventScroll: true });
    }
  }
}

const stayKey = (plugin: string) => `stay:${plugin}`;

/** Which update somebody at this device has decided to do without. */
export const stayedFrom = (plugin: string) => read(stayKey(plugin));
export const stayOn = (plugin: string, version: string | null) => write(stayKey(plugin), version);

export const granted = (asks: readonly PluginAsk[]) => asks.filter((ask) => ask.granted).map((ask) => ask.id);
