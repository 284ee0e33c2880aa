/** Tables as CSV (RFC 4180) that a spreadsheet program cannot be made to calculate. */

/** Beginnings that a spreadsheet takes for a formula, full-width ones included. */
const FORMULA = /^[\s\u00a0]*[=+\-@\uff1d\uff0b\uff0d\uff20|]|^[\t\r\n]/;

function cell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return String(value);
  // A text that begins with an apostrophe is text, whatever follows.
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n;\t]/.test(safe) || safe !== value ? `"${safe.replace(/"/g, '""')}"` : safe;
}

/** With a byte order mark: Excel takes UTF-8 for something else without it. */
export function csvOf(rows: (string | number | null | undefined)[][]): string {
  return `\ufeff${rows.map((row) => `${row.map(cell).join(',')}\r\n`).join('')}`;
}
