/**
 * Log content is written by attackers too. Here text is cut into what may be shown as it stands and
 * what would change how its neighbours look (terminal sequences, bidirectional and invisible
 * characters, piles of combining marks); the latter are shown by name.
 */

export interface TextPiece {
  kind: 'text';
  text: string;
}

export interface ControlPiece {
  kind: 'control';
  /** What stands in for it, in plain printable characters. */
  shown: string;
  /** Code points and name, for the tooltip. */
  name: string;
  /** The characters themselves. */
  text: string;
}

export type Piece = TextPiece | ControlPiece;

/** Marks on one letter beyond this number are a pile meant to cover other lines. */
const MARKS_MAX = 4;

const SUSPECT = new RegExp(
  [
    // Terminal sequences: CSI, OSC up to its end, other two-character ones.
    '(?:\\u001b\\[|\\u009b)[0-?]*[ -/]*[@-~]',
    '(?:\\u001b\\]|\\u009d)[^\\u0007\\u001b\\u009c]{0,256}(?:\\u0007|\\u001b\\\\|\\u009c)',
    '\\u001b[ -~]',
    // C0 without tab and line feed, DEL, C1. A carriage return before a line feed is an ordinary end of line.
    '\\r(?!\\n)',
    '[\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]',
    // Invisible and direction-changing characters, fillers, tags, variation selectors supplement, noncharacters.
    '[\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb\\ufffe\\uffff\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}]',
    '[\\ud800-\\udfff]',
    `\\p{M}{${MARKS_MAX + 1},}`,
  ].join('|'),
  'gu',
);

const NAMES: Record<number, string> = {
  0: 'NULL',
  7: 'BELL',
  8: 'BACKSPACE',
  13: 'CARRIAGE RETURN',
  27: 'ESCAPE',
  127: 'DELETE',
  173: 'SOFT HYPHEN',
  1564: 'ARABIC LETTER MARK',
  8203: 'ZERO WIDTH SPACE',
  8204: 'ZERO WIDTH NON-JOINER',
  8205: 'ZERO WIDTH JOINER',
  8206: 'LEFT-TO-RIGHT MARK',
  8207: 'RIGHT-TO-LEFT MARK',
  8232: 'LINE SEPARATOR',
  8233: 'PARAGRAPH SEPARATOR',
  8234: 'LEFT-TO-RIGHT EMBEDDING',
  8235: 'RIGHT-TO-LEFT EMBEDDING',
  8236: 'POP DIRECTIONAL FORMATTING',
  8237: 'LEFT-TO-RIGHT OVERRIDE',
  8238: 'RIGHT-TO-LEFT OVERRIDE',
  8288: 'WORD JOINER',
  8294: 'LEFT-TO-RIGHT ISOLATE',
  8295: 'RIGHT-TO-LEFT ISOLATE',
  8296: 'FIRST STRONG ISOLATE',
  8297: 'POP DIRECTIONAL ISOLATE',
  65279: 'BYTE ORDER MARK',
};

function codePointName(code: number): string {
  const number = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
  const name = NAMES[code];
  return name ? `${number} ${name}` : number;
}

/** ASCII's own abbreviations: the pictures of U+2400 are missing in many fonts. */
const ABBREVIATIONS =
  'NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US'.split(
    ' ',
  );

/** A control character's abbreviation or number, in brackets. */
function shownFor(code: number): string {
  if (code < 0x20) return `[${ABBREVIATIONS[code]}]`;
  if (code === 0x7f) return '[DEL]';
  return `[U+${code.toString(16).toUpperCase().padStart(4, '0')}]`;
}

function controlPiece(text: string): ControlPiece {
  const first = text.codePointAt(0) ?? 0;
  if (/^\p{M}/u.test(text) && text.length > MARKS_MAX) {
    const count = [...text].length;
    return { kind: 'control', shown: `[+${count} marks]`, name: `${count} combining marks`, text };
  }
  const shown = [...text]
    .map((char) => {
      const code = char.codePointAt(0) ?? 0;
      return code >= 0x20 && code < 0x7f ? char : shownFor(code);
    })
    .join('');
  return { kind: 'control', shown, name: codePointName(first), text };
}

/** Cuts `text` into pieces; their `text` joined again is the input. */
export function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(SUSPECT)) {
    if (match.index > end) pieces.push({ kind: 'text', text: text.slice(end, match.index) });
    pieces.push(controlPiece(match[0]));
    end = match.index + match[0].length;
  }
  if (end < text.length) pieces.push({ kind: 'text', text: text.slice(end) });
  return pieces;
}

/** `text` with everything suspect replaced by what stands in for it: for titles and attributes. */
export function plain(text: string): string {
  return piecesOf(text)
    .map((piece) => (piece.kind === 'text' ? piece.text : piece.shown))
    .join('');
}

/** A name or a value that stands in a line shows no more than this. */
const BRIEF_CHARS = 300;

/** The beginning of a text that may be of any length, for a line, a title or an attribute. */
export function brief(text: string): string {
  return text.length > BRIEF_CHARS ? `${plain(text.slice(0, BRIEF_CHARS))}…` : plain(text);
}

/** Longer values are named, and lead nowhere: no address takes a text of any length. */
export const LINK_CHARS_MAX = 2_000;
