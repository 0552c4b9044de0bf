/** How often a plugin used each thing in the last seven days. */

import { client } from '../state/session.svelte.ts';

export const WEEK_DAYS = 7;

export async function lastWeek(plugin: string): Promise<Record<string, number>> {
  const { items } = await client.call('plugins/use', { plugin, days: WEEK_DAYS });
  return sumUses(items);
}

export function sumUses(items: readonly { uses: Record<string, number> }[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const { uses } of items) for (const [name, times] of Object.entries(uses)) sum[name] = (sum[name] ?? 0) + times;
  return sum;
}
