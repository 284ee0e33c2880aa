/** Reads `text/event-stream` (HTML standard, 9.2.6) from chunks of text cut anywhere. */

export interface ServerEvent {
  event: string;
  data: string;
  /** The last id seen so far; empty before the first. */
  id: string;
}

/** A line longer than this is not one of ours; what is kept of it stays bounded. */
const LINE_CHARS_MAX = 4_000_000;

export class EventStreamParser {
  #rest = '';
  #event = '';
  #data: string[] = [];
  #id = '';

  /** Takes a chunk, gives the events it completed. */
  push(chunk: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    // A CR at the very end may be the first half of CRLF: it waits for the next chunk.
    const text = this.#rest + chunk;
    const end = text.endsWith('\r') ? text.length - 1 : text.length;
    let start = 0;
    const breaks = /\r\n|\r|\n/g;
    for (let match = breaks.exec(text); match && match.index < end; match = breaks.exec(text)) {
      this.#line(text.slice(start, match.index), events);
      start = match.index + match[0].length;
    }
    this.#rest = text.slice(start);
    if (this.#rest.length > LINE_CHARS_MAX) this.#rest = '';
    return events;
  }

  #line(line: string, events: ServerEvent[]): void {
    if (line === '') {
      if (this.#data.length > 0) {
        events.push({ event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id });
      }
      this.#event = '';
      this.#data = [];
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'event') this.#event = value;
    else if (name === 'data') this.#data.push(value);
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
  }
}
