/** The language in use: its texts, and how it writes dates, numbers and lists. */

import type { Locale } from '@vaxel/client';
import { read, write } from '../lib/store.ts';
import { en, type Texts } from './en.ts';
import { sv } from './sv.ts';

const DAY_MS = 86_400_000;

class I18n {
  locale = $state<Locale>('en');
  readonly #texts = $derived<Texts>(this.locale === 'sv' ? sv : en);
  readonly #tag = $derived(this.locale === 'sv' ? 'sv-SE' : 'en-GB');
  readonly #clock = $derived(new Intl.DateTimeFormat(this.#tag, { hour: '2-digit', minute: '2-digit' }));
  readonly #day = $derived(new Intl.DateTimeFormat(this.#tag, { day: 'numeric', month: 'short' }));
  readonly #weekday = $derived(new Intl.DateTimeFormat(this.#tag, { weekday: 'short' }));
  readonly #year = $derived(new Intl.DateTimeFormat(this.#tag, { dateStyle: 'medium' }));
  readonly #longDay = $derived(new Intl.DateTimeFormat(this.#tag, { weekday: 'long', day: 'numeric', month: 'long' }));
  readonly #longYear = $derived(
    new Intl.DateTimeFormat(this.#tag, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' }),
  );
  readonly #full = $derived(new Intl.DateTimeFormat(this.#tag, { dateStyle: 'long', timeStyle: 'short' }));
  readonly #relative = $derived(new Intl.RelativeTimeFormat(this.#tag, { numeric: 'auto' }));
  readonly #list = $derived(new Intl.ListFormat(this.#tag, { type: 'conjunction' }));
  readonly collator = $derived(new Intl.Collator(this.#tag, { sensitivity: 'base', numeric: true }));

  get t(): Texts {
    return this.#texts;
  }

  /** What was chosen or last shown here, or else what the browser asks for, or the organization's own. */
  start(fallback?: Locale): void {
    const browser = navigator.languages.map((tag) => known(tag.slice(0, 2).toLowerCase())).find((each) => each !== undefined);
    this.#show(known(read('locale')) ?? known(read('last-locale')) ?? browser ?? fallback ?? 'en');
  }

  /** The language of who is signed in; it stays after signing out, so that the page does not change under their hands. */
  use(locale: Locale): void {
    this.#show(locale);
    write('last-locale', locale);
  }

  #show(locale: Locale): void {
    this.locale = locale;
    document.documentElement.lang = locale;
  }

  choose(locale: Locale): void {
    write('locale', locale);
    this.use(locale);
  }

  time(at: number): string {
    return this.#clock.format(at);
  }

  full(at: number): string {
    return this.#full.format(at);
  }

  date(at: number): string {
    return this.#year.format(at);
  }

  /** As short as a list has room for: today a time, this week a weekday, then a date. */
  short(at: number, now: number): string {
    const days = daysBetween(at, now);
    if (days <= 0) return this.time(at);
    if (days === 1) return this.#relative.format(-1, 'day');
    if (days < 7) return this.#weekday.format(at);
    return new Date(at).getFullYear() === new Date(now).getFullYear() ? this.#day.format(at) : this.date(at);
  }

  day(at: number, now: number): string {
    const days = daysBetween(at, now);
    if (days === 0 || days === 1) return capital(this.#relative.format(-days, 'day'));
    return capital((new Date(at).getFullYear() === new Date(now).getFullYear() ? this.#longDay : this.#longYear).format(at));
  }

  number(value: number, options?: Intl.NumberFormatOptions): string {
    return new Intl.NumberFormat(this.#tag, options).format(value);
  }

  /** A weekday's name, 0 for Sunday. */
  weekday(day: number): string {
    return new Intl.DateTimeFormat(this.#tag, { weekday: 'long', timeZone: 'UTC' }).format(Date.UTC(2023, 0, 1 + day));
  }

  /** A calendar day as the server names it, `2026-11-22`, wherever the reader is. */
  calendarDay(day: string): string {
    return new Intl.DateTimeFormat(this.#tag, { weekday: 'short', day: 'numeric', month: 'short', timeZone: 'UTC' }).format(Date.parse(`${day}T00:00:00Z`));
  }

  list(items: string[]): string {
    return this.#list.format(items);
  }
}

function known(tag: string | null): Locale | undefined {
  return tag === 'sv' || tag === 'en' ? tag : undefined;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function dayStart(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}

/** Counted in midnights, so that a day of 23 or 25 hours is still one day. */
function daysBetween(at: number, now: number): number {
  return Math.round((dayStart(now) - dayStart(at)) / DAY_MS);
}

export const i18n = new I18n();
