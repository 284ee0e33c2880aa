/** `?a=1&b=2` of what is set. */
export function query(parameters: Record<string, string | number | undefined | null>): string {
  const set = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== '') set.set(name, String(value));
  }
  const text = set.toString();
  return text ? `?${text}` : '';
}
