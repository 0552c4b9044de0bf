/** Permissions as people read them: what each allows, by the plugin that declares it. */

import type { PermissionInfo } from '@vaxel/client';
import { i18n } from '../i18n/i18n.svelte.ts';

export interface Allowed {
  name: string;
  text: string;
  /** Who may do this without any role. */
  anyway: string | undefined;
}

export interface Section {
  plugin: string;
  title: string;
  items: Allowed[];
}

/** What can be given, and what of the held no plugin declares at present. */
export function sections(declared: readonly PermissionInfo[], held: readonly string[] = []): Section[] {
  const found = new Map<string, Section>();
  for (const permission of declared) {
    const { plugin, name } = permission;
    const section = found.get(plugin) ?? { plugin, title: i18n.t.plugins.known[plugin]?.name ?? plugin, items: [] };
    found.set(plugin, section);
    section.items.push({ name, text: text(name, permission.summary), anyway: anyway(permission) });
  }
  // What a role makes a difference in comes first.
  for (const section of found.values()) section.items.sort((a, b) => Number(a.anyway === i18n.t.roles.everybodyHas) - Number(b.anyway === i18n.t.roles.everybodyHas));
  const known = new Set(declared.map((permission) => permission.name));
  const others = held.filter((name) => !known.has(name));
  const all = [...found.values()].sort((a, b) => i18n.collator.compare(a.title, b.title));
  if (others.length === 0) return all;
  return [...all, { plugin: '', title: i18n.t.roles.switchedOff, items: others.map((name) => ({ name, text: text(name), anyway: undefined })) }];
}

/** The sections of these permissions alone. */
export function sectionsOf(declared: readonly PermissionInfo[], names: readonly string[]): Section[] {
  const wanted = new Set(names);
  return sections(declared.filter((permission) => wanted.has(permission.name)), names);
}

function text(name: string, summary?: string): string {
  return i18n.t.roles.known[name] ?? (summary || name);
}

function anyway({ suggested }: PermissionInfo): string | undefined {
  if (suggested.includes('member')) return i18n.t.roles.everybodyHas;
  return suggested.includes('admin') ? i18n.t.roles.adminsHave : undefined;
}
