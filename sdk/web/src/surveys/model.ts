/** Surveys in hand: new questions, moving and copying them, and what refers to what. Pure, so that it can be read at once. */

import type { Surveys } from '@vaxel/client';
import { hasOptions } from './kinds.ts';

type Definition = Surveys.Definition;
type Question = Surveys.Question;
type Section = Surveys.Section;
type Texts = Surveys.Texts;

/** In this language, or in any: a missing translation is better read than nothing. */
export function textOf(texts: Texts | undefined, language: string): string {
  return texts?.[language]?.trim() || Object.values(texts ?? {}).find((text) => text.trim() !== '') || '';
}

export const questionsOf = (definition: Definition): Question[] => definition.sections.flatMap((section) => section.questions);

/** A word that nothing else is called: `q7`. Ids stay for good, so a number that was in use before may come again only when it is gone. */
function fresh(taken: Iterable<string>, prefix: string): string {
  const used = new Set(taken);
  let number = 1;
  while (used.has(`${prefix}${number}`)) number += 1;
  return `${prefix}${number}`;
}

const idsOf = (definition: Definition) => [...questionsOf(definition).map((question) => question.id), ...(definition.calculations ?? []).map((each) => each.id)];

export const freshOption = (options: readonly Surveys.Choice[], prefix = 'o') => fresh(options.map((option) => option.id), prefix);

/** One text for each language of the survey; what is not there yet is asked for when it is published. */
export const emptyTexts = (definition: Definition): Texts => Object.fromEntries(definition.languages.map((language) => [language, '']));

export function newQuestion(definition: Definition, kind: Surveys.Kind): Question {
  const question: Question = { id: fresh(idsOf(definition), 'q'), kind, label: emptyTexts(definition) };
  return fitted(definition, question);
}

/** The question with what its kind needs, and without what it cannot have. */
export function fitted(definition: Definition, question: Question): Question {
  const { id, kind, label, hint, show_if, sensitive } = question;
  const next: Question = { id, kind, label };
  if (hint) next.hint = hint;
  if (show_if) next.show_if = show_if;
  if (sensitive) next.sensitive = sensitive;
  if (question.required && kind !== 'statement') next.required = true;
  const two = () => ['o1', 'o2'].map((option) => ({ id: option, label: emptyTexts(definition) }));
  if (hasOptions(kind)) next.options = question.options?.length ? question.options : two();
  if (kind === 'matrix') next.rows = question.rows?.length ? question.rows : [{ id: 'r1', label: emptyTexts(definition) }];
  if (kind === 'scale') {
    next.min = question.min ?? 1;
    next.max = question.max ?? 5;
  } else if (kind === 'number') {
    if (question.min !== undefined) next.min = question.min;
    if (question.max !== undefined) next.max = question.max;
  }
  if (kind === 'scale' || kind === 'nps') {
    if (question.min_label) next.min_label = question.min_label;
    if (question.max_label) next.max_label = question.max_label;
  }
  return next;
}

export function newSection(definition: Definition): Section {
  return { id: fresh(definition.sections.map((section) => section.id), 's'), questions: [] };
}

export function copyOf(definition: Definition, question: Question): Question {
  return { ...(JSON.parse(JSON.stringify(question)) as Question), id: fresh(idsOf(definition), 'q') };
}

/** Where a question stands. */
export function placeOf(definition: Definition, id: string): { section: number; at: number } | undefined {
  for (const [section, each] of definition.sections.entries()) {
    const at = each.questions.findIndex((question) => question.id === id);
    if (at >= 0) return { section, at };
  }
  return undefined;
}

/** Moves a question by one, past the edge of its section into the next; false where it is first or last. */
export function moveQuestion(definition: Definition, id: string, by: 1 | -1): boolean {
  const place = placeOf(definition, id);
  if (!place) return false;
  const { section, at } = place;
  const from = definition.sections[section]?.questions ?? [];
  const to = at + by;
  if (to >= 0 && to < from.length) {
    swap(from, at, to);
    return true;
  }
  const other = definition.sections[section + by]?.questions;
  const question = from[at];
  if (!other || !question) return false;
  from.splice(at, 1);
  other.splice(by === 1 ? 0 : other.length, 0, question);
  return true;
}

export function swap<T>(list: T[], a: number, b: number): void {
  const [first, second] = [list[a], list[b]];
  if (first === undefined || second === undefined) return;
  list[a] = second;
  list[b] = first;
}

/** What can be asked about at a question: everything above it. With `section` alone: everything up to the section's end. */
export function earlier(definition: Definition, section: number, at: number): Question[] {
  const before = definition.sections.slice(0, section).flatMap((each) => each.questions);
  return [...before, ...(definition.sections[section]?.questions.slice(0, at) ?? [])].filter((question) => question.kind !== 'statement');
}

/** Which linkages fit who may answer and what they show; what tells the least of them comes first. */
export function linkages(access: Surveys.Access, proofs: readonly string[]): Surveys.Linkage[] {
  if (access === 'anyone') return proofs.length > 0 ? ['anonymous', 'confidential', 'pseudonymous', 'named'] : ['unlinked'];
  if (access === 'link') return proofs.length > 0 ? ['confidential', 'pseudonymous', 'named'] : ['confidential', 'named'];
  return ['confidential', 'pseudonymous', 'named'];
}

/** Settings that fit each other again after one of them has changed. */
export function settle(settings: Surveys.Settings): void {
  // Whoever has a PIN can show it: it belongs to a personal link or an account.
  if (settings.access === 'anyone') settings.step_up = settings.step_up.filter((method) => method !== 'pin');
  // Anonymity has a price (script, lost tickets), so it is chosen and not come by.
  const possible = linkages(settings.access, settings.step_up);
  if (!possible.includes(settings.linkage)) settings.linkage = possible.find((each) => each !== 'anonymous') ?? 'unlinked';
  if (settings.linkage === 'named') settings.group_min = 1;
}

/** Where it is answered: people of the organization answer inside, signed in; everybody else on a page of their own. */
export const addressOf = (slug: string, access: Surveys.Access) => (access === 'members' ? `/x/surveys/answer/${slug}` : `/p/surveys/answer/${slug}`);
