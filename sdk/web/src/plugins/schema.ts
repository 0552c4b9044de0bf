/** A form from the JSON Schema of a plugin's settings: its fields, what stands in them, and what is wrong with that. */

import { i18n } from '../i18n/i18n.svelte.ts';
import { texts } from './texts/texts.ts';

export type FieldKind = 'text' | 'number' | 'integer' | 'boolean' | 'choice' | 'lines' | 'json';

export interface Field {
  key: string;
  label: string;
  description: string;
  kind: FieldKind;
  required: boolean;
  /** For `choice`. */
  options: { value: unknown; name: string }[];
  /** For `text`: several lines, or one of a known form. */
  input: 'textarea' | 'text' | 'url' | 'email';
  fallback: unknown;
  schema: Schema;
}

/** What stands in a field while it is changed. */
export type Draft = string | boolean | string[];

interface Schema {
  type?: string | string[];
  title?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  oneOf?: { const?: unknown; title?: string }[];
  format?: string;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
}

/** What is longer than this is written on several lines. */
const LINE_LENGTH_MAX = 200;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

export function fieldsOf(schema: Record<string, unknown>): Field[] {
  const required = Array.isArray(schema['required']) ? (schema['required'] as unknown[]) : [];
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const fields = Object.entries(properties).map(([key, each]) => field(key, (isObject(each) ? each : {}) as Schema, required.includes(key)));
  // Names come in the order of the alphabet: what must be filled in stands first.
  return fields.sort((a, b) => Number(b.required) - Number(a.required));
}

function field(key: string, schema: Schema, required: boolean): Field {
  const long = (schema.maxLength ?? 0) > LINE_LENGTH_MAX || schema.format === 'textarea';
  const input = schema.format === 'uri' ? 'url' : schema.format === 'email' ? 'email' : long ? 'textarea' : 'text';
  return {
    key,
    label: schema.title ?? key,
    description: schema.description ?? '',
    kind: kindOf(schema),
    required,
    options: optionsOf(schema),
    input,
    fallback: schema.default,
    schema,
  };
}

function optionsOf(schema: Schema): Field['options'] {
  if (schema.enum) return schema.enum.map((value) => ({ value, name: String(value) }));
  const named = schema.oneOf ?? [];
  return named.every((each) => 'const' in each) ? named.map((each) => ({ value: each.const, name: each.title ?? String(each.const) })) : [];
}

function kindOf(schema: Schema): FieldKind {
  if (optionsOf(schema).length > 0) return 'choice';
  const types = [schema.type ?? 'json'].flat();
  switch (types.length === 1 ? types[0] : 'json') {
    case 'string':
      return 'text';
    case 'number':
      return 'number';
    case 'integer':
      return 'integer';
    case 'boolean':
      return 'boolean';
    case 'array':
      return schema.items?.type === 'string' && !schema.items.enum ? 'lines' : 'json';
    default:
      return 'json';
  }
}

export function draftOf(field: Field, value: unknown): Draft {
  switch (field.kind) {
    case 'boolean':
      return (value ?? field.fallback ?? false) === true;
    case 'lines':
      return Array.isArray(value ?? field.fallback) ? ((value ?? field.fallback) as unknown[]).map(String) : [];
    case 'choice': {
      const at = field.options.findIndex((option) => option.value === (value ?? field.fallback));
      return at < 0 ? '' : String(at);
    }
    case 'json':
      return value === undefined ? '' : JSON.stringify(value, null, 2);
    default:
      return value === undefined || value === null ? '' : String(value);
  }
}

/** What is sent for it; undefined leaves the setting out. */
export function valueOf(field: Field, draft: Draft): unknown {
  if (typeof draft === 'boolean') return draft;
  if (Array.isArray(draft)) {
    const lines = draft.map((line) => line.trim()).filter((line) => line !== '');
    return lines.length > 0 || field.required ? lines : undefined;
  }
  if (draft.trim() === '') return undefined;
  switch (field.kind) {
    case 'choice':
      return field.options[Number(draft)]?.value;
    case 'number':
    case 'integer':
      return numberOf(draft);
    case 'json':
      return parsed(draft);
    default:
      return draft;
  }
}

/** A comma is as good as a point. */
const numberOf = (text: string) => Number(text.trim().replace(/[\s\u00a0\u202f]/g, '').replace(',', '.').replace('−', '-'));

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** What is wrong with it, in words; the server has the last one. */
export function problemOf(field: Field, draft: Draft): string | undefined {
  const t = texts().settings;
  const { schema } = field;
  const num = (value: number) => i18n.number(value);
  const value = valueOf(field, draft);
  if (field.kind === 'json' && typeof draft === 'string' && draft.trim() !== '' && value === undefined) return t.notJson;
  if (value === undefined) return field.required ? t.missing : undefined;
  if (typeof value === 'number' && field.kind !== 'choice') {
    if (!Number.isFinite(value)) return t.notNumber;
    if (field.kind === 'integer' && !Number.isInteger(value)) return t.notWhole;
    if (schema.minimum !== undefined && value < schema.minimum) return t.least(num(schema.minimum));
    if (schema.maximum !== undefined && value > schema.maximum) return t.most(num(schema.maximum));
  }
  if (typeof value === 'string' && field.kind === 'text') return textProblem(schema, value);
  if (Array.isArray(value) && field.kind === 'lines') {
    if (schema.minItems !== undefined && value.length < schema.minItems) return t.fewest(num(schema.minItems));
    if (schema.maxItems !== undefined && value.length > schema.maxItems) return t.mostLines(num(schema.maxItems));
    if (schema.uniqueItems && new Set(value).size < value.length) return t.twice;
    return value.map((line) => textProblem(schema.items ?? {}, String(line))).find((found) => found !== undefined);
  }
  return undefined;
}

function textProblem(schema: Schema, value: string): string | undefined {
  const t = texts().settings;
  const length = [...value].length;
  if (schema.minLength !== undefined && length < schema.minLength) return t.shortest(i18n.number(schema.minLength));
  if (schema.maxLength !== undefined && length > schema.maxLength) return t.longest(i18n.number(schema.maxLength));
  if (schema.pattern !== undefined && !fits(schema.pattern, value)) return t.pattern;
  return undefined;
}

function fits(pattern: string, value: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(value);
  } catch {
    // Not every expression of the server is one here; it looks at it itself.
    return true;
  }
}

/** Which field a refusal of the server is about: it begins with the place, `/values/port: …`, or names it in quotes. */
export function placeOf(fields: readonly Field[], said: string): { key: string; text: string } | undefined {
  const [, path = '', text = said] = /^(\/\S*?): ([\s\S]*)$/.exec(said) ?? [];
  const parts = path.split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const byPlace = fields.find((each) => parts.includes(each.key));
  if (byPlace) return { key: byPlace.key, text };
  const byName = fields.find((each) => said.includes(`"${each.key}"`));
  return byName && { key: byName.key, text };
}

/** What holds where nothing is entered. */
export function fallbackWords(field: Field): string | undefined {
  const t = texts().settings;
  const { fallback } = field;
  if (fallback === undefined || fallback === null || field.kind === 'boolean' || field.kind === 'json') return undefined;
  if (field.kind === 'choice') return field.options.find((option) => option.value === fallback)?.name;
  if (Array.isArray(fallback)) return i18n.list(fallback.map(String));
  return t.defaultIs(typeof fallback === 'number' ? i18n.number(fallback) : String(fallback));
}
