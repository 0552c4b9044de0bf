/** What each kind of question takes; mirrors what the plugin checks when a survey is published. */

import type { Surveys } from '@vaxel/client';
import type { IconName } from '../ui/icons.ts';

type Kind = Surveys.Kind;

/** As they are offered, by what one wants to know. */
export const KIND_GROUPS: { id: 'choose' | 'judge' | 'write' | 'tell' | 'other'; kinds: Kind[] }[] = [
  { id: 'choose', kinds: ['single_choice', 'multiple_choice', 'dropdown', 'yes_no'] },
  { id: 'judge', kinds: ['scale', 'nps', 'matrix', 'ranking'] },
  { id: 'write', kinds: ['short_text', 'long_text'] },
  { id: 'tell', kinds: ['number', 'date', 'time', 'email', 'phone', 'url'] },
  { id: 'other', kinds: ['consent', 'signature', 'statement'] },
];

export const ICONS: Record<Kind, IconName> = {
  single_choice: 'radio',
  multiple_choice: 'boxes',
  dropdown: 'chevron',
  yes_no: 'check',
  scale: 'bars',
  nps: 'bars',
  matrix: 'window',
  ranking: 'lines',
  short_text: 'edit',
  long_text: 'lines',
  number: 'hash',
  date: 'calendar',
  time: 'clock',
  email: 'mail',
  phone: 'phone',
  url: 'globe',
  consent: 'hand',
  signature: 'edit',
  statement: 'page',
};

const among = (kinds: Kind[]) => (kind: Kind) => kinds.includes(kind);

export const hasOptions = among(['single_choice', 'multiple_choice', 'dropdown', 'matrix', 'ranking']);
export const hasRange = among(['number', 'scale']);
export const hasLength = among(['short_text', 'long_text', 'email', 'phone', 'url', 'signature']);
/** What results can be divided by, and quotas set on. */
export const divides = among(['single_choice', 'dropdown', 'yes_no']);
export const isNumber = among(['number', 'scale', 'nps']);
/** Whose answers are read one by one. */
export const isText = among(['short_text', 'long_text', 'date', 'time', 'email', 'phone', 'url', 'signature']);
/** Whose answers say by themselves who gave them. */
export const saysWho = among(['email', 'phone', 'signature']);

/** What an answer of this kind can be compared by. */
export function comparisons(kind: Kind | undefined): Surveys.Comparison[] {
  if (kind === undefined || isNumber(kind)) return ['at_least', 'at_most', 'equals', 'answered', 'not_answered'];
  if (kind === 'multiple_choice') return ['contains', 'answered', 'not_answered'];
  if (kind === 'matrix') return ['contains', 'answered', 'not_answered'];
  if (hasOptions(kind) || kind === 'yes_no' || kind === 'consent') return ['equals', 'not_equals', 'answered', 'not_answered'];
  return ['contains', 'answered', 'not_answered'];
}

export const takesValue = (is: Surveys.Comparison) => is !== 'answered' && is !== 'not_answered';
