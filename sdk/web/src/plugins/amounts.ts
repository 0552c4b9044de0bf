/** Counts, times and sizes as people write them. */

import { i18n } from '../i18n/i18n.svelte.ts';

export const count = (value: number) => i18n.number(value);

export const share = (part: number, whole: number) => i18n.number(whole === 0 ? 0 : part / whole, { style: 'percent', maximumFractionDigits: part / whole < 0.1 ? 1 : 0 });

export function duration(ms: number): string {
  const unit = (value: number, name: string) => i18n.number(value, { style: 'unit', unit: name, unitDisplay: 'short', maximumFractionDigits: value < 10 ? 1 : 0 });
  if (ms < 1_000) return unit(ms, 'millisecond');
  if (ms < 60_000) return unit(ms / 1_000, 'second');
  if (ms < 3_600_000) return unit(ms / 60_000, 'minute');
  return unit(ms / 3_600_000, 'hour');
}

const SIZES = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;

export function size(bytes: number): string {
  const at = Math.min(SIZES.length - 1, bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** at;
  return i18n.number(value, { style: 'unit', unit: SIZES[at] ?? 'byte', unitDisplay: at === 0 ? 'long' : 'short', maximumFractionDigits: value < 10 && at > 0 ? 1 : 0 });
}
