/** Number of bytes that `foreignFormat` and `foreignText` examine. */
export const BEGINNING_BYTES = 512

interface Format {
  /** Returns whether a file that begins with `text` has this format. No ONNX file may begin so. */
  isSeenIn(text: string): boolean
  readonly name: string
}

const begins =
  (mark: string, at = 0) =>
  (text: string): boolean =>
    text.startsWith(mark, at)

/** Texts that are found in place of any file, with the remedy. */
const TEXTS: readonly Format[] = [
  {
    isSeenIn: begins('version https://git-lfs.github.com/spec/'),
    name: 'a Git LFS pointer in place of the file; fetch the file with `git lfs pull`',
  },
  {
    isSeenIn: (text) => /^\s*<(!doctype|html|head|body|\?xml|!--)/i.test(text),
    name: 'an HTML or XML page, probably the error page of a download; read it for the reason',
  },
]

/** Formats of files that are found in place of a model, with the remedy. */
const FORMATS: readonly Format[] = [
  ...TEXTS,
  { isSeenIn: begins('\x1f\x8b'), name: 'a gzip archive; unpack it' },
  {
    isSeenIn: begins('PK\x03\x04'),
    name: 'a ZIP archive; unpack it, or export to ONNX if it is a PyTorch checkpoint',
  },
  { isSeenIn: begins('GGUF'), name: 'a GGUF file; export the model to ONNX' },
  { isSeenIn: begins('\x89HDF\r\n'), name: 'an HDF5 file, as written by Keras; export the model to ONNX' },
  { isSeenIn: begins('\0\0\0\0{"', 4), name: 'a safetensors file; export the model to ONNX' },
  { isSeenIn: begins('\0\0\0TFL3', 1), name: 'a TensorFlow Lite file; export the model to ONNX' },
]

/** Returns why a file is no model, and the remedy, by its first `BEGINNING_BYTES`; undefined if it may be one. */
export function foreignFormat(beginning: Buffer): string | undefined {
  if (beginning.length === 0) return 'it is empty'
  const name = nameIn(FORMATS, beginning)
  return name === undefined ? undefined : `it is not an ONNX model but ${name}`
}

/**
 * Returns the format that a file has in place of weights, and the remedy, by its first `BEGINNING_BYTES`; undefined
 * if it may hold weights.
 */
export function foreignText(beginning: Buffer): string | undefined {
  return nameIn(TEXTS, beginning)
}

function nameIn(formats: readonly Format[], beginning: Buffer): string | undefined {
  // In latin1 each byte is one character. A byte order mark is not part of the text.
  const text = beginning.toString('latin1').replace(/^\xef\xbb\xbf/, '')
  return formats.find((format) => format.isSeenIn(text))?.name
}
