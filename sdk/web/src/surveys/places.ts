/** Places of a survey as people know them: by the words that stand there, not by ids. */

import type { Surveys } from '@vaxel/client';
import { placeOf, textOf } from './model.ts';
import type { OpenSurvey } from './survey.svelte.ts';
import { texts } from './texts/texts.ts';

/** `3. How satisfied are you?` */
export function questionName(definition: Surveys.Definition, id: string, language: string): string {
  const number = definition.sections.flatMap((section) => section.questions).findIndex((question) => question.id === id);
  const question = definition.sections.flatMap((section) => section.questions)[number];
  return `${number + 1}. ${textOf(question?.label, language) || texts().noText}`;
}

export function sectionName(definition: Surveys.Definition, id: string, language: string): string {
  const at = definition.sections.findIndex((section) => section.id === id);
  const title = textOf(definition.sections[at]?.title, language);
  return title ? `${texts().section(at + 1)}: ${title}` : texts().section(at + 1);
}

export function faultName({ definition, language }: OpenSurvey, at: string): string {
  if (!definition || at === '') return texts().wholeSurvey;
  if (placeOf(definition, at)) return questionName(definition, at, language);
  return definition.sections.some((section) => section.id === at) ? sectionName(definition, at, language) : at;
}
