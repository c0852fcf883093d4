/** Samples of a recording, each between -1 and 1. */
export interface Recording {
  readonly sampleRate: number
  readonly samples: Float32Array
}

const PCM = 1
/** The format is told by the first two bytes of a GUID further on. */
const EXTENSIBLE = 0xfffe

/**
 * Reads a mono, 16-bit PCM file: a RIFF file of chunks in any order, `fmt ` before `data`.
 * @throws Error that says what the file is instead.
 */
export function readWav(bytes: Uint8Array): Recording {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 12 || nameAt(view, 0) !== 'RIFF' || nameAt(view, 8) !== 'WAVE') {
    throw new Error('this is no RIFF/WAVE file')
  }
  let sampleRate: number | undefined
  for (let offset = 12; offset + 8 <= view.byteLength; ) {
    const name = nameAt(view, offset)
    const start = offset + 8
    // A recorder that was cut off leaves a size that is larger than the file.
    const length = Math.min(view.getUint32(offset + 4, true), view.byteLength - start)
    if (name === 'fmt ') sampleRate = readFormat(view, start, length)
    if (name === 'data') {
      if (sampleRate === undefined) throw new Error('the wav file has its data before its format')
      return { sampleRate, samples: readSamples(view, start, length) }
    }
    // Chunks are padded to an even length.
    offset = start + length + (length % 2)
  }
  throw new Error('the wav file has no data')
}

function readFormat(view: DataView, start: number, length: number): number {
  if (length < 16) throw new Error(`the wav file's format takes ${length} bytes; it should be at least 16`)
  const tag = view.getUint16(start, true)
  const format = tag === EXTENSIBLE && length >= 26 ? view.getUint16(start + 24, true) : tag
  const channels = view.getUint16(start + 2, true)
  const bits = view.getUint16(start + 14, true)
  if (format !== PCM || channels !== 1 || bits !== 16) {
    throw new Error(
      `the wav file has format ${format}, ${channels} channel(s), ${bits} bits; it should be PCM (1), mono, 16 bits`,
    )
  }
  return view.getUint32(start + 4, true)
}

function readSamples(view: DataView, start: number, length: number): Float32Array {
  const samples = new Float32Array(Math.floor(length / 2))
  for (let i = 0; i < samples.length; i += 1) samples[i] = view.getInt16(start + 2 * i, true) / 32_768
  return samples
}

function nameAt(view: DataView, offset: number): string {
  return String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + offset, 4))
}
