/** The texts of the surveys' views in the language in use. */

import { i18n } from '../../i18n/i18n.svelte.ts';
import { en, type SurveyTexts } from './en.ts';
import { sv } from './sv.ts';

export const texts = (): SurveyTexts => (i18n.locale === 'sv' ? sv : en);
