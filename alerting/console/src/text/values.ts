import type { FieldValue, NamedValue } from '../api/types';

/** A field's value as text: lists with commas, nothing as an empty text. */
export function valueText(value: FieldValue): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.map(valueText).join(', ');
  if (typeof value === 'object') return JSON.stringify(value);
  return String(value);
}

/** Each single value in it: what a list holds one by one. */
export function valueParts(value: FieldValue): string[] {
  return Array.isArray(value) ? value.flatMap(valueParts) : [valueText(value)];
}

/** The texts to mark in an event for what matched in it. */
export function matchedTexts(matched: NamedValue[]): string[] {
  return matched.flatMap((field) => valueParts(field.value));
}
