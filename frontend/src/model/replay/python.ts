/** Python, as far as an eye wants it told apart: comments, strings, keywords, numbers, and what is defined. */

export type Token = "plain" | "comment" | "string" | "keyword" | "number" | "defined";
export type Piece = [text: string, token: Token];

const KEYWORDS =
  "False|None|True|and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|match|nonlocal|not|or|pass|raise|return|try|while|with|yield";
const KEYWORD = new Set(KEYWORDS.split("|"));
const NEXT = /(#.*)|([rbfuRBFU]{0,2})("""|'''|"|')|\b([A-Za-z_]\w*)\b|\b(\d[\w.]*)|\s+|[^\s\w]/gy;

/** The lines of a text, each in pieces. A string may go over several of them. */
export function highlighted(text: string): Piece[][] {
  let open: string | null = null; // the quotes that end the string that goes on
  return text.replace(/\n$/, "").split(/\r?\n/).map((line) => {
    const pieces: Piece[] = [];
    let at = 0;
    let defines = false;
    if (open !== null) {
      at = endOf(line, 0, open) ?? line.length;
      if (endOf(line, 0, open) !== null) open = null;
      add(pieces, line.slice(0, at), "string");
    }
    while (at < line.length) {
      NEXT.lastIndex = at;
      const found = NEXT.exec(line);
      if (found === null) break;
      const [whole, comment, , quotes, word, number] = found;
      let token: Token = "plain";
      let end = at + whole.length;
      if (comment !== undefined) token = "comment";
      else if (quotes !== undefined) {
        token = "string";
        const closed = endOf(line, end, quotes);
        if (closed === null && quotes.length === 3) open = quotes;
        end = closed ?? line.length;
      } else if (word !== undefined) {
        token = KEYWORD.has(word) ? "keyword" : defines ? "defined" : "plain";
        defines = word === "def" || word === "class";
      } else if (number !== undefined) token = "number";
      add(pieces, line.slice(at, end), token);
      at = end;
    }
    if (at < line.length) add(pieces, line.slice(at), "plain");
    return pieces;
  });
}

function add(pieces: Piece[], text: string, token: Token): void {
  const last = pieces.at(-1);
  if (last !== undefined && last[1] === token) last[0] += text;
  else if (text !== "") pieces.push([text, token]);
}

/** Where a string's closing quotes end. */
function endOf(line: string, from: number, quotes: string): number | null {
  for (let at = from; at < line.length; at++) {
    if (line[at] === "\\") at++;
    else if (line.startsWith(quotes, at)) return at + quotes.length;
  }
  return null;
}
