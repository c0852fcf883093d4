import { closeSync, readSync } from 'node:fs'
import { errors, messageOf } from '../../src/errors/errors.js'
import { BEGINNING_BYTES, foreignText } from '../../src/protocol/foreign-files.js'
import type { FileOwner } from '../../src/protocol/model-files.js'
import { openRegular, refuseSpecialFile } from './regular-file.js'

/** Maximum number of quoted characters. */
const QUOTED = 60

/** Returns the reason why a model cannot be loaded, in words for users; `reason` is onnxruntime's. */
export function loadFailureReason(source: string, reason: string): string {
  if (/Protobuf parsing failed|does not have a graph/.test(reason)) {
    const text = textOf(beginningOf(source) ?? Buffer.of(0))
    const found = text === undefined ? '' : `; it begins with the text ${JSON.stringify(text)}`
    return `it is no ONNX model, or it is damaged or cut short${found}`
  }
  const beyond = /External initializer: (.+) offset: \d+ size to read: \d+ given file_length: (\d+)/.exec(
    reason,
  )
  if (beyond !== null) {
    const [, name, bytes] = beyond
    return `one of its data files is ${bytes === '0' ? 'empty' : `cut short, with ${bytes} bytes`}: the weights ${JSON.stringify(name)} lie beyond its end; fetch it again`
  }
  // Removes the places in onnxruntime's sources.
  return reason.replace(/\S+\.(?:cc|h):\d+ (?:[\w:~]+(?:\([^)]*\))? )?/g, '')
}

/**
 * Checks a file of weights, since onnxruntime accepts any bytes as weights.
 * @throws ERR_MODEL_LOAD if the file is of another kind, for example a page of HTML or a pointer of Git LFS
 */
export function assertWeights(source: string, path: string, owner?: FileOwner): void {
  const refuse = (why: string, cause?: unknown): Error =>
    new errors.ERR_MODEL_LOAD(`${source} cannot be loaded: ${why}`, { ...owner, cause })
  try {
    refuseSpecialFile(path)
  } catch (cause) {
    throw refuse(messageOf(cause), cause)
  }
  const text = foreignText(beginningOf(path) ?? Buffer.of(0))
  if (text !== undefined) throw refuse(`its data file ${path} is ${text}`)
}

/** Returns the first bytes of a file; undefined if it cannot be read, or is not a regular file. */
function beginningOf(path: string): Buffer | undefined {
  let file: number
  try {
    file = openRegular(path).file
  } catch {
    return undefined
  }
  try {
    const beginning = Buffer.alloc(BEGINNING_BYTES)
    return beginning.subarray(0, readSync(file, beginning, 0, BEGINNING_BYTES, 0))
  } catch {
    return undefined
  } finally {
    closeSync(file)
  }
}

/** Returns the first line of a text; undefined if the bytes are not text. */
function textOf(beginning: Buffer): string | undefined {
  const text = beginning.toString('latin1')
  return /^[\t\n\r -~]+$/.test(text) ? text.trim().split('\n', 1)[0]?.slice(0, QUOTED) : undefined
}
