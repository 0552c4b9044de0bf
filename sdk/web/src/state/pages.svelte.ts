/** The pages of plugins that this person may open. */

import type { Pages } from '@vaxel/client';
import { client, session } from './session.svelte.ts';

class PagesState {
  items = $state.raw<Pages.PageInfo[]>([]);
  #asked = 0;

  /** Those that stand in the navigation. A plugin that was switched off takes its pages along at once. */
  get shown(): Pages.PageInfo[] {
    return this.items.filter((page) => page.navigation && session.has(page.plugin));
  }

  clear(): void {
    this.items = [];
  }

  async fetch(): Promise<void> {
    const asked = ++this.#asked;
    try {
      const { items } = await client.call('plugins/pages', {});
      if (asked === this.#asked) this.items = items;
    } catch {
      // The next connection or switch asks again; meanwhile what is known stays.
    }
  }

  switched(plugin: string): void {
    if (!session.has(plugin)) this.items = this.items.filter((page) => page.plugin !== plugin);
    void this.fetch();
  }
}

export const pages = new PagesState();
