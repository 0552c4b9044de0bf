/** Results as the lines of a sheet, with the words that people were asked, out of the file that programs read. */

import type { Surveys } from '@vaxel/client';
import { questionsOf, textOf } from '../model.ts';
import { texts } from '../texts/texts.ts';
import type { Cell } from './xlsx.ts';

interface OneAnswer {
  version: number;
  day: string;
  language: string;
  who?: string;
  answers: Record<string, string>;
}

/** One line for each count of each question, or one for each answer where single answers are shown. */
export function sheetOf(lines: string, definition: Surveys.Definition, language: string): Cell[][] {
  const read = lines.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as unknown);
  const t = texts().results;
  if (definition.settings.group_min > 1) {
    const head = [t.sheet.question, t.sheet.answered, t.answer, t.number, t.sheet.mean, t.meanPlace];
    return [head, ...(read as Surveys.QuestionResults[]).flatMap((question) => ofQuestion(question, language))];
  }
  const asked = questionsOf(definition).filter((question) => question.kind !== 'statement');
  const head = [t.sheet.day, t.sheet.language, t.sheet.who, ...asked.map((question) => textOf(question.label, language) || question.id)];
  return [head, ...(read as OneAnswer[]).map(({ day, language: tag, who, answers }) => [day, tag, who, ...asked.map((question) => answers[question.id])])];
}

function ofQuestion(question: Surveys.QuestionResults, language: string): Cell[][] {
  const label = textOf(question.label, language) || question.id;
  const counts = question.counts ?? [];
  if (counts.length === 0) return [[label, question.answered, undefined, undefined, question.mean]];
  return counts.map((count) => [label, question.answered, textOf(count.label, language) || count.of, count.count, question.mean, count.place]);
}
