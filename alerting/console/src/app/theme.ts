import { createTheme, localStorageColorSchemeManager, type MantineColorsTuple } from '@mantine/core';

/** A quiet blue; shade 7 on white and shade 4 on the dark body keep 4.5:1. */
const harbour: MantineColorsTuple = [
  '#eaf4fc',
  '#d3e5f5',
  '#a6cbea',
  '#76aedf',
  '#5298d6',
  '#3a8ad1',
  '#2478bd',
  '#1c66a4',
  '#155a93',
  '#054e82',
];

/** The dark theme's greys, leaning to the blue of the rest. */
const dark: MantineColorsTuple = [
  '#dde4ea',
  '#b4c0cb',
  '#9aa8b5',
  '#64727f',
  '#3d4a57',
  '#2e3944',
  '#212b35',
  '#1a2129',
  '#141a21',
  '#0e1318',
];

/** Fonts of the machine: nothing is loaded from elsewhere, and all of them know Vietnamese. */
const SANS =
  'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", "DejaVu Sans", sans-serif';
const MONO =
  'ui-monospace, SFMono-Regular, Menlo, Consolas, "Noto Sans Mono", "Liberation Mono", "DejaVu Sans Mono", monospace';

export const theme = createTheme({
  colors: { harbour, dark },
  primaryColor: 'harbour',
  primaryShade: { light: 7, dark: 7 },
  fontFamily: SANS,
  fontFamilyMonospace: MONO,
  defaultRadius: 'sm',
  cursorType: 'pointer',
  respectReducedMotion: true,
  focusRing: 'auto',
  headings: { fontFamily: SANS, fontWeight: '600' },
});

export const colorSchemeManager = localStorageColorSchemeManager({ key: 'citywatch.theme' });
