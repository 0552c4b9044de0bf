/** Surveys as the plugin of that name keeps them: what is asked, of whom, and what the answers say together. */

import type { Tint } from './pages.ts';
import type { UserId } from './types.ts';

/** By language tag. */
export type Texts = Record<string, string>;

export type Kind =
  | 'short_text'
  | 'long_text'
  | 'number'
  | 'date'
  | 'time'
  | 'email'
  | 'phone'
  | 'url'
  | 'single_choice'
  | 'multiple_choice'
  | 'dropdown'
  | 'yes_no'
  | 'scale'
  | 'nps'
  | 'matrix'
  | 'ranking'
  | 'signature'
  | 'consent'
  | 'statement';

export type Comparison = 'answered' | 'not_answered' | 'equals' | 'not_equals' | 'contains' | 'at_least' | 'at_most';

export interface Part {
  of: string;
  is: Comparison;
  value?: string | number;
}

/** Holds where all parts of one of the groups hold. */
export interface Condition {
  any: { all: Part[] }[];
}

export interface Choice {
  id: string;
  label: Texts;
  score?: number;
}

export interface Question {
  id: string;
  kind: Kind;
  label: Texts;
  hint?: Texts;
  required?: boolean;
  show_if?: Condition;
  options?: Choice[];
  rows?: Choice[];
  min?: number;
  max?: number;
  min_label?: Texts;
  max_label?: Texts;
  choices_min?: number;
  choices_max?: number;
  chars_max?: number;
  sensitive?: boolean;
}

export interface Jump {
  if?: Condition;
  to: string;
}

export interface Section {
  id: string;
  title?: Texts;
  text?: Texts;
  show_if?: Condition;
  questions: Question[];
  jumps?: Jump[];
}

export type Access = 'anyone' | 'link' | 'members';
export type Linkage = 'unlinked' | 'anonymous' | 'confidential' | 'pseudonymous' | 'named';

export interface Quota {
  id: string;
  of: string;
  option: string;
  max: number;
}

export interface Settings {
  access: Access;
  step_up: string[];
  linkage: Linkage;
  group_min: number;
  divide_by: string[];
  closes_at_ms?: number | null;
  answers_max?: number | null;
  quotas: Quota[];
}

export interface Definition {
  title: Texts;
  languages: string[];
  intro?: Texts;
  thanks?: Texts;
  sections: Section[];
  calculations?: { id: string; label?: Texts; formula: string }[];
  settings: Settings;
  tint?: Tint;
}

export type State = 'draft' | 'open' | 'closed';

export interface Summary {
  id: string;
  slug: string;
  title: Texts;
  state: State;
  version: number;
  owner: UserId;
  created_at_ms: number;
  changed_at_ms: number;
  answers: number;
  may_edit: boolean;
}

export interface Fault {
  /** The id of a question, a section or a calculation; empty for the survey. */
  at: string;
  why: string;
}

export interface Share {
  user: UserId;
  role: 'editor' | 'viewer';
  questions?: string[];
}

export interface Full {
  summary: Summary;
  definition: Definition;
  faults: Fault[];
  changed: boolean;
  may_share: boolean;
  shares: Share[];
}

export interface Invitation {
  id: string;
  recipient: string;
  answered: boolean;
  invited_at_ms: number;
  reminded_at_ms?: number;
  link?: string;
}

export interface Count {
  of: string;
  label: Texts;
  count: number;
  place?: number;
}

export interface QuestionResults {
  id: string;
  /** None for a calculation. */
  kind?: Kind;
  label: Texts;
  answered: number;
  counts?: Count[];
  mean?: number;
  deviation?: number;
  nps?: number;
}

export interface GroupResults {
  option?: string;
  answers: number;
  questions: QuestionResults[];
}

export interface Results {
  came: number;
  waiting: number;
  imported: number;
  group_min: number;
  groups: GroupResults[];
  divide_by: string[];
}

export interface Look {
  user: UserId;
  at_ms: number;
  what: string;
  questions?: string[];
}

interface Of {
  survey: string;
}
interface Paged extends Of {
  cursor?: string;
}
interface Listed<T> {
  items: T[];
  next?: string;
}
interface M<P, R> {
  params: P;
  result: R;
}
interface Created {
  id: string;
  slug: string;
}

export interface SurveyMethods {
  'plugins/surveys/create': M<{ title?: string; template?: string; definition?: Definition; slug?: string }, Created>;
  'plugins/surveys/save': M<Of & { definition: Definition; changed_at_ms?: number }, { changed_at_ms: number; faults: Fault[] }>;
  'plugins/surveys/publish': M<Of, { version: number; address: string }>;
  'plugins/surveys/close': M<Of, { state: State }>;
  'plugins/surveys/list': M<{ cursor?: string; limit?: number }, Listed<Summary>>;
  'plugins/surveys/get': M<Of & { version?: number }, Full>;
  'plugins/surveys/duplicate': M<Of, Created>;
  'plugins/surveys/templates': M<Record<string, never>, { items: { id: string; definition: Definition }[] }>;
  'plugins/surveys/share': M<Of & { shares: Share[] }, unknown>;
  'plugins/surveys/results': M<Of & { only?: { question: string; option: string }[]; divide_by?: string; refresh?: boolean }, Results>;
  'plugins/surveys/texts': M<Paged & { question: string }, { items: string[]; next?: string }>;
  'plugins/surveys/export': M<Paged & { format: 'csv' | 'json' }, { text: string; media_type: string; next?: string }>;
  'plugins/surveys/invitations.create': M<Of & { recipients: string[] }, Listed<Invitation>>;
  'plugins/surveys/invitations.list': M<Paged, Listed<Invitation>>;
  'plugins/surveys/invitations.remind': M<Paged, Listed<Invitation>>;
  'plugins/surveys/looks': M<Paged, Listed<Look>>;
}
