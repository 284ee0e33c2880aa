import { expect, test } from 'vitest';
import { namesIn, nearNames, withName } from './nearNames';

test('the names of a line, each once', () => {
  expect(namesIn('usr:root and not (usr:lan or host:"a:b") C:\\temp')).toEqual(['usr', 'host']);
  expect(namesIn('root')).toEqual([]);
});

test('near names are those of few other letters, or that hold what was typed', () => {
  expect(nearNames('usr', ['EventID'])).toEqual(['user']);
  expect(nearNames('eventid', ['EventID', 'EventType'])[0]).toBe('EventID');
  expect(nearNames('hsot', [])).toEqual(['host']);
  expect(nearNames('address', [])).toEqual(['source_address', 'destination_address']);
  expect(nearNames('nofield', ['EventID'])).toEqual([]);
});

test('another name is written where the name stood', () => {
  expect(withName('usr:root or not usr:"usr:1"', 'usr', 'user')).toBe('user:root or not user:"usr:1"');
});
