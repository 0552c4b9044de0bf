/** What the renderer asks of a page's tree: where links lead, which levels headings have, what the inputs hold. */

import type { Pages } from '@vaxel/client';

/** What stands in the inputs, by id; of several choices, with commas between. */
export type Values = Record<string, string>;

export interface Link {
  href: string;
  /** Where it leads, if that is not a page of ours. */
  host?: string;
}

/** Nothing but `https:` and `page:` is a link. The server has checked it; whoever draws checks again. */
export function linkOf(url: string, plugin: string): Link | undefined {
  const own = /^page:([a-z][\w-]*)((?:\/[\w.~-]+)*\/?(?:\?[\w.~=&%+-]*)?)$/.exec(url);
  if (own) return own[0].split(/[:/?]/).some((part) => /^\.+$/.test(part)) ? undefined : { href: `/x/${plugin}/${own[1]}${own[2] ?? ''}` };
  if (!url.startsWith('https://') || !URL.canParse(url)) return undefined;
  const { href, hostname, username, password } = new URL(url);
  return username || password ? undefined : { href, host: hostname };
}

const INPUTS = new Set(['Input.Text', 'Input.Number', 'Input.Date', 'Input.Time', 'Input.Toggle', 'Input.ChoiceSet', 'Vaxel.Scale', 'Vaxel.Matrix', 'Vaxel.Ranking']);

export const isInput = (element: Pages.Element): element is Pages.Input => INPUTS.has(element.type);

function below(element: Pages.Element): Pages.Element[] {
  switch (element.type) {
    case 'Container':
      return element.items;
    case 'ColumnSet':
      return element.columns.flatMap((column) => column.items);
    case 'Table':
      return element.rows.flatMap((row) => row.cells.flatMap((cell) => cell.items));
    default:
      return [];
  }
}

/** All elements, in the order in which they are read. */
export function* elements(list: Pages.Element[]): Generator<Pages.Element> {
  for (const element of list) {
    yield element;
    yield* elements(below(element));
  }
}

export const inputs = (page: Pages.PluginPage): Pages.Input[] => [...elements(page.body)].filter(isInput);

export const labelOf = (input: Pages.Input): string => (input.type === 'Input.Toggle' ? (input.label ?? input.title) : input.label);

/** The level of each heading: as asked for, but none left out. */
export function headings(page: Pages.PluginPage): Map<Pages.Element, 2 | 3 | 4> {
  const levels = new Map<Pages.Element, 2 | 3 | 4>();
  let last = 1;
  for (const element of elements(page.body)) {
    if (element.type !== 'TextBlock' || element.style !== 'heading') continue;
    const wanted = element.size === 'small' ? 4 : element.size === 'medium' ? 3 : 2;
    last = Math.min(wanted, last + 1);
    levels.set(element, last as 2 | 3 | 4);
  }
  return levels;
}

/** The names under which an input is told: its own, or one for each of its parts. */
export function partsOf(input: Pages.Input): string[] {
  if (input.type === 'Vaxel.Matrix') return input.rows.map((row) => `${input.id}.${row.value}`);
  if (input.type === 'Vaxel.Ranking') return input.choices.map((choice) => `${input.id}.${choice.value}`);
  return [input.id];
}

/** What the parts of an input hold before anybody touches them. */
export function suggestions(input: Pages.Input): [string, string][] {
  if (input.type === 'Vaxel.Matrix') return input.rows.map((row) => [`${input.id}.${row.value}`, input.value?.[row.value] ?? '']);
  if (input.type === 'Vaxel.Ranking') {
    const order = input.value ? input.value.split(',') : [];
    return input.choices.map((choice) => [`${input.id}.${choice.value}`, order.includes(choice.value) ? String(order.indexOf(choice.value) + 1) : '']);
  }
  return [[input.id, suggested(input)]];
}

function suggested(input: Pages.Input): string {
  if (input.type === 'Vaxel.Matrix' || input.type === 'Vaxel.Ranking') return '';
  if (input.type === 'Input.Toggle') return input.value ?? input.valueOff;
  return input.value === undefined ? '' : String(input.value);
}

/** What the plugin is told: numbers as numbers; what was left empty is absent. */
export function told(page: Pages.PluginPage, values: Values): Record<string, unknown> {
  const sent: Record<string, unknown> = {};
  for (const input of inputs(page)) {
    for (const id of partsOf(input)) {
      const value = values[id] ?? '';
      if (value === '') continue;
      const number = Number(value.replace(',', '.'));
      sent[id] = input.type === 'Input.Number' && Number.isFinite(number) ? number : value;
    }
  }
  return sent;
}
