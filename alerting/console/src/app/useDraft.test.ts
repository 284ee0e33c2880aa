import { expect, test } from 'vitest';
import { contested } from './useDraft';

test('what is typed stays when somebody else changes what it is typed over', () => {
  const typed = { of: '', draft: 'a backup job', isTyped: true };
  expect(contested(typed, '')).toEqual({ text: 'a backup job' });
  expect(contested(typed, 'a scan')).toEqual({ text: 'a backup job', theirs: 'a scan' });
  expect(contested({ ...typed, draft: '' }, 'a scan')).toEqual({ text: '', theirs: 'a scan' });
});

test('what was sent, or never typed, gives way', () => {
  expect(contested({ of: '', draft: 'a scan ', isTyped: true }, 'a scan')).toEqual({ text: 'a scan' });
  expect(contested({ of: 'old', draft: 'old', isTyped: false }, 'new')).toEqual({ text: 'new' });
});
