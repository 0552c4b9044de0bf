/** What a person chose about how the product looks and answers, on this device. */

import { read, write } from '../lib/store.ts';

export type Theme = 'system' | 'light' | 'dark';

/** A place to type must stay usable beside the list. */
export const LIST_WIDTH_MIN = 240;
export const LIST_WIDTH_MAX = 440;
const LIST_WIDTH = 312;

class Settings {
  theme = $state<Theme>((read('theme') as Theme | null) ?? 'system');
  singleKeys = $state(read('single-keys') !== 'off');
  listWidth = $state(Number(read('list-width')) || LIST_WIDTH);
  details = $state(read('details') === 'open');

  setTheme(theme: Theme): void {
    this.theme = theme;
    write('theme', theme === 'system' ? null : theme);
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }

  setSingleKeys(on: boolean): void {
    this.singleKeys = on;
    write('single-keys', on ? null : 'off');
  }

  setListWidth(width: number): void {
    this.listWidth = Math.round(Math.min(LIST_WIDTH_MAX, Math.max(LIST_WIDTH_MIN, width)));
    write('list-width', String(this.listWidth));
  }

  setDetails(open: boolean): void {
    this.details = open;
    write('details', open ? 'open' : null);
  }
}

export const settings = new Settings();
