/** Colours for a rule's text: enough of YAML's look for Sigma, line by line. Never changes a character. */

export type YamlToken = 'comment' | 'key' | 'punctuation' | 'string' | 'number' | 'keyword' | 'plain';

export interface YamlPiece {
  token: YamlToken;
  text: string;
}

export interface YamlLine {
  pieces: YamlPiece[];
  /** The field that a line of a search tests (`Image` of `Image|endswith:`), else empty. */
  field: string;
}

const LINE = /^(\s*(?:- +)*)((?:"[^"]*"|'[^']*'|(?!- )[^\s#:'"][^:#]*?))(\s*:)(?=\s|$)(.*)$/;

function scalar(text: string): YamlPiece[] {
  const comment = /(^|\s)#.*$/.exec(text);
  const value = comment ? text.slice(0, comment.index) : text;
  const rest = comment ? text.slice(comment.index) : '';
  const pieces: YamlPiece[] = [];
  if (value) {
    const bare = value.trim();
    let token: YamlToken = 'plain';
    if (/^['"]/.test(bare)) token = 'string';
    else if (/^-?\d+(\.\d+)?$/.test(bare)) token = 'number';
    else if (/^(true|false|null|~)$/i.test(bare)) token = 'keyword';
    else if (/^[|>][+-]?\d*$/.test(bare)) token = 'punctuation';
    pieces.push({ token, text: value });
  }
  if (rest) pieces.push({ token: 'comment', text: rest });
  return pieces;
}

function line(text: string): YamlLine {
  if (/^\s*#/.test(text)) return { pieces: [{ token: 'comment', text }], field: '' };
  const key = LINE.exec(text);
  if (key) {
    const [, indent = '', name = '', colon = '', rest = ''] = key;
    const pieces: YamlPiece[] = [];
    if (indent) pieces.push({ token: 'punctuation', text: indent });
    pieces.push({ token: 'key', text: name }, { token: 'punctuation', text: colon }, ...scalar(rest));
    const field = indent === '' ? '' : (name.replace(/^['"]|['"]$/g, '').split('|')[0] ?? '');
    return { pieces, field };
  }
  const item = /^(\s*(?:- +)+)(.*)$/.exec(text);
  if (item) {
    const [, dash = '', rest = ''] = item;
    return { pieces: [{ token: 'punctuation', text: dash }, ...scalar(rest)], field: '' };
  }
  return { pieces: scalar(text), field: '' };
}

export function yamlLines(text: string): YamlLine[] {
  // How far the line is indented that began a block of text; what is indented further has no keys.
  let block: number | undefined;
  return text
    .replace(/\n$/, '')
    .split('\n')
    .map((each) => {
      const indent = each.search(/\S/);
      if (block !== undefined && (indent < 0 || indent > block)) {
        return { pieces: each ? [{ token: 'plain', text: each }] : [], field: '' };
      }
      block = /(:|^\s*-)\s+[|>][+-]?\d*\s*$/.test(each) ? indent : undefined;
      return line(each);
    });
}
