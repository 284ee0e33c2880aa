import { describe, expect, test } from 'vitest';
import { EventStreamParser } from './sse';

describe('event stream', () => {
  const stream =
    ': hello\r\nid: 7\r\nevent: incident\r\ndata: {"a":\r\ndata: 1}\r\n\r\nevent: ping\ndata: x\n\ndata: y\r\r';
  const expected = [
    { event: 'incident', data: '{"a":\n1}', id: '7' },
    { event: 'ping', data: 'x', id: '7' },
    { event: 'message', data: 'y', id: '7' },
  ];
  test.each([1, 2, 3, 7, 1000])('cut in chunks of %d', (size) => {
    const parser = new EventStreamParser();
    const events = [];
    const text = `${stream}: end\n`;
    for (let at = 0; at < text.length; at += size) events.push(...parser.push(text.slice(at, at + size)));
    expect(events).toEqual(expected);
  });
});
