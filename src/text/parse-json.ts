/** Encodings by the byte order mark at the beginning of a text. */
const ENCODINGS = [
  { mark: [0xff, 0xfe], encoding: 'utf-16le' },
  { mark: [0xfe, 0xff], encoding: 'utf-16be' },
] as const

/**
 * Parses the bytes of a JSON file. Editors on Windows put a byte order mark before the text, and some
 * write UTF-16; both are read.
 * @throws SyntaxError if it is not JSON.
 */
export function parseJson(bytes: Uint8Array): unknown {
  const found = ENCODINGS.find(({ mark }) => mark.every((byte, index) => bytes[index] === byte))
  // The decoder removes the byte order mark.
  return JSON.parse(new TextDecoder(found?.encoding ?? 'utf-8').decode(bytes))
}
