import { closeSync, readSync } from 'node:fs'
import { openRegular } from '../../files/regular-file.js'

const WINDOW_BYTES = 16 * 1024
const TWO_TO_32 = 2 ** 32
const wires = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/** One field of a message: the offsets of its content, and a varint's value. */
export interface ProtoField {
  readonly number: number
  /** True if it holds bytes: a text, a message, or a list of numbers. */
  readonly isBytes: boolean
  /** A varint as a signed int64, exact up to 2^53; 0 for every other kind of field. */
  readonly value: number
  readonly start: number
  readonly end: number
}

/**
 * Reads protobuf's wire format from a file through a small window; fields that are not requested are skipped,
 * not read. Every method throws an Error if the file is malformed.
 * https://protobuf.dev/programming-guides/encoding/
 */
export class ProtoCursor implements Disposable {
  readonly size: number
  readonly #fd: number
  readonly #window = Buffer.allocUnsafe(WINDOW_BYTES)
  #windowStart = 0
  #windowLength = 0
  #position = 0
  #bytesRead = 0

  constructor(path: string) {
    const { file, bytes } = openRegular(path)
    this.#fd = file
    this.size = bytes
  }

  /** Number of bytes read from the file so far. */
  get bytesRead(): number {
    return this.#bytesRead
  }

  /** Yields the fields between two offsets, in order; each may be read until the next is requested. */
  *fields(start: number, end: number): Generator<ProtoField> {
    this.#position = start
    while (this.#position < end) {
      const field = this.#field(end)
      yield field
      this.#position = field.end
    }
  }

  /** Yields the fields of a message inside a message. */
  message(field: ProtoField): Generator<ProtoField> {
    if (!field.isBytes) throw malformed(field.start, `field ${field.number} is no message`)
    return this.fields(field.start, field.end)
  }

  text(field: ProtoField): string {
    return this.bytes(field).toString('utf8')
  }

  /** Returns the bytes of a field, which are valid until the next read. */
  bytes(field: ProtoField): Buffer {
    if (!field.isBytes) throw malformed(field.start, `field ${field.number} holds no bytes`)
    return this.#bytesAt(field.start, field.end - field.start)
  }

  /** Yields the values of a repeated int64 or int32, in either of the two forms that a writer may choose. */
  *varints(field: ProtoField): Generator<number> {
    if (!field.isBytes) {
      yield field.value
      return
    }
    let position = field.start
    while (position < field.end) {
      this.#position = position
      const value = this.#varint(field.end)
      position = this.#position
      yield value
    }
  }

  /**
   * Returns a repeated float, in either of the two forms; of a long list only the first `most` values and one
   * more.
   */
  floats(field: ProtoField, most: number): number[] {
    const length = Math.min(field.end - field.start, 4 * (most + 1))
    const bytes = this.#bytesAt(field.start, length - (length % 4))
    return Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readFloatLE(4 * at))
  }

  close(): void {
    closeSync(this.#fd)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #bytesAt(start: number, length: number): Buffer {
    if (length <= WINDOW_BYTES) {
      this.#show(start, length)
      const from = start - this.#windowStart
      return this.#window.subarray(from, from + length)
    }
    const bytes = Buffer.allocUnsafe(length)
    this.#read(bytes, length, start)
    return bytes
  }

  #field(limit: number): ProtoField {
    const at = this.#position
    const tag = this.#varint(limit)
    const number = Math.floor(tag / 8)
    if (number < 1 || number >= 2 ** 29) throw malformed(at, `${number} is no field number`)
    const wire = tag % 8
    let value = 0
    let start = this.#position
    let end = start
    if (wire === wires.varint) {
      value = this.#varint(limit)
      end = this.#position
    } else if (wire === wires.bytes) {
      const length = this.#varint(limit)
      start = this.#position
      end = length < 0 ? Number.POSITIVE_INFINITY : start + length
    } else if (wire === wires.fixed32 || wire === wires.fixed64) {
      end = start + (wire === wires.fixed32 ? 4 : 8)
    } else {
      throw malformed(at, `${wire} is no wire type of ONNX`)
    }
    if (end > limit) throw malformed(at, `field ${number} ends behind what holds it`)
    return { number, isBytes: wire === wires.bytes, value, start, end }
  }

  #varint(limit: number): number {
    const at = this.#position
    let low = 0
    let high = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#position >= limit) throw malformed(at, 'a number is cut off')
      const byte = this.#byte()
      const bits = byte & 0x7f
      if (shift < 28) low |= bits << shift
      else if (shift === 28) {
        low |= bits << 28
        high |= bits >>> 4
      } else if (shift < 63) high |= bits << (shift - 32)
      else high |= (bits & 1) << 31
      if (byte < 0x80) return (high | 0) * TWO_TO_32 + (low >>> 0)
    }
    throw malformed(at, 'a number is longer than ten bytes')
  }

  #byte(): number {
    const position = this.#position
    this.#position += 1
    this.#show(position, 1)
    return this.#window[position - this.#windowStart] ?? 0
  }

  /** Moves the window so that it holds these bytes. */
  #show(start: number, length: number): void {
    const from = start - this.#windowStart
    if (from >= 0 && from + length <= this.#windowLength) return
    this.#windowLength = 0
    const wanted = Math.min(WINDOW_BYTES, this.size - start)
    if (wanted < length) throw malformed(start, 'the file ends')
    this.#read(this.#window, wanted, start)
    this.#windowStart = start
    this.#windowLength = wanted
  }

  #read(into: Buffer, length: number, position: number): void {
    for (let done = 0; done < length; ) {
      const count = readSync(this.#fd, into, done, length - done, position + done)
      if (count === 0) throw malformed(position + done, 'the file ends')
      done += count
      this.#bytesRead += count
    }
  }
}

function malformed(position: number, what: string): Error {
  return new Error(`not a valid ONNX file: at byte ${position}, ${what}`)
}
