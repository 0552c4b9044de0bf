/** What a plugin asks for and brings, in words that people understand. */

import type { PluginAsk, PluginInfo, PluginStanding } from '@vaxel/client';
import { i18n } from '../i18n/i18n.svelte.ts';
import type { IconName } from '../ui/icons.ts';
import { texts } from './texts/texts.ts';

export interface AskWords {
  title: string;
  what: string;
  icon: IconName;
  /** Data can leave the organization by it, or anybody's can come in. */
  outside: boolean;
}

const ICONS: Record<string, IconName> = {
  storage: 'box',
  blobs: 'file',
  events: 'bell',
  identity: 'people',
  clock: 'clock',
  crypto: 'key',
  log: 'lines',
  interop: 'plug',
  'step-up': 'lock',
  http: 'globe',
  schedule: 'repeat',
  config: 'settings',
};

/** What reaches further than the plugin itself is read first. */
const ORDER = ['http', 'http-in', 'hook_before', 'interop', 'events_in', 'hook_after', 'step-up', 'identity', 'blobs', 'storage', 'events', 'schedule'];

export function askWords(ask: Pick<PluginAsk, 'id' | 'kind'>): AskWords {
  const t = texts();
  const about = ask.id.slice(ask.id.indexOf(':') + 1);
  switch (ask.kind) {
    case 'events':
      return { ...t.kinds.events(t.topics[about] ?? t.otherTopic(about)), icon: 'bell', outside: false };
    case 'hook_before':
      return { ...t.kinds.hook_before(methodWords(about)), icon: 'ban', outside: false };
    case 'hook_after':
      return { ...t.kinds.hook_after(methodWords(about)), icon: 'reply', outside: false };
    case 'http_in':
      return { ...t.kinds.http_in, icon: 'globe', outside: true };
    case 'capability':
      return { ...(t.capabilities[ask.id] ?? { title: ask.id, what: '' }), icon: ICONS[ask.id] ?? 'plug', outside: ask.id === 'http' };
  }
}

/** `chat/messages.send` */
export function methodWords(method: string): string {
  const t = texts();
  const [plugin = '', name = ''] = method.split('/');
  return t.methods[method] ?? t.otherMethod(name, i18n.t.plugins.known[plugin]?.name ?? plugin);
}

export function inOrder<A extends PluginAsk>(asks: readonly A[]): A[] {
  const rank = (ask: A) => {
    const at = ORDER.indexOf(ask.kind === 'capability' ? ask.id : ask.kind === 'events' ? 'events_in' : ask.kind === 'http_in' ? 'http-in' : ask.kind);
    return at < 0 ? ORDER.length : at;
  };
  return [...asks].sort((a, b) => rank(a) - rank(b));
}

export const nameOf = (plugin: { id: string; name: string }) => i18n.t.plugins.known[plugin.id]?.name ?? (plugin.name || plugin.id);
export const summaryOf = (plugin: { id: string; summary?: string | null | undefined }) => i18n.t.plugins.known[plugin.id]?.summary ?? plugin.summary ?? '';

/** Servers that do not tell the state tell what it follows from. */
export function standing(plugin: PluginInfo): PluginStanding {
  if (plugin.state) return plugin.state;
  if (plugin.unavailable) return 'unavailable';
  if (plugin.needs_consent) return 'waiting';
  return plugin.enabled ? 'on' : 'off';
}

const two = (text: string) => text.padStart(2, '0');

/** The five fields of crontab(5), where they are one of the usual. */
export function everyWords(cron: string): string {
  const t = texts().every;
  const [minute = '', hour = '', date = '', month = '', day = ''] = cron.trim().split(/\s+/);
  const whole = (text: string) => /^\d+$/.test(text);
  const often = /^\*\/(\d+)$/.exec(minute)?.[1];
  if (month !== '*') return t.other(cron);
  if (date === '*' && day === '*' && hour === '*') {
    if (minute === '*') return t.minutes(1);
    if (often) return t.minutes(Number(often));
    if (whole(minute)) return t.hourly(two(minute));
  }
  if (!whole(minute) || !whole(hour)) return t.other(cron);
  const time = `${two(hour)}:${two(minute)}`;
  if (date === '*' && day === '*') return t.daily(time);
  if (date === '*' && day === '1-5') return t.weekdays(time);
  if (date === '*' && whole(day)) return t.weekly(i18n.weekday(Number(day) % 7), time);
  if (whole(date) && day === '*') return t.monthly(Number(date), time);
  return t.other(cron);
}
