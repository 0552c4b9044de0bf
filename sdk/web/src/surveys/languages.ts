/** Languages that a survey can be answered in, each under its own name. */

export const LANGUAGES = ['sv', 'en', 'fi', 'no', 'da', 'de', 'ar', 'so', 'uk'];

const NAMES: Record<string, string> = { sv: 'Svenska', en: 'English', fi: 'Suomi', no: 'Norsk', da: 'Dansk', de: 'Deutsch', ar: 'العربية', so: 'Soomaali', uk: 'Українська' };

export const languageName = (tag: string) => NAMES[tag] ?? tag;
