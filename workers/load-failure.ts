import { closeSync, openSync, readSync } from 'node:fs'
import { BEGINNING_BYTES, foreignFormat } from '../src/protocol/foreign-files.js'
import { dataPathsOf } from './model-paths.js'

/** Characters of a text that are quoted. */
const QUOTED = 60

/** Says why onnxruntime cannot load a model, for which it gives this reason. */
export function whyNotLoaded(source: string, reason: string): string {
  const data = dataPathsOf(source).flatMap((path) => {
    const format = foreignFormat(beginningOf(path) ?? Buffer.of(0))
    return format === undefined ? [] : [`of its data file ${path}: ${format}`]
  })
  if (data[0] !== undefined) return data[0]
  if (/Protobuf parsing failed|does not have a graph/.test(reason)) {
    const text = textOf(beginningOf(source) ?? Buffer.of(0))
    const found = text === undefined ? '' : `; it begins with the text ${JSON.stringify(text)}`
    return `it is no ONNX model, or one that is damaged or cut short${found}`
  }
  // Without the places in the source of onnxruntime.
  return reason.replace(/\S+\.(?:cc|h):\d+ (?:[\w:~]+(?:\([^)]*\))? )?/g, '')
}

/** Undefined if it cannot be read. */
function beginningOf(path: string): Buffer | undefined {
  let file: number
  try {
    file = openSync(path, 'r')
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

/** The first line of what is text; undefined if it is none. */
function textOf(beginning: Buffer): string | undefined {
  const text = beginning.toString('latin1')
  return /^[\t\n\r -~]+$/.test(text) ? text.trim().split('\n', 1)[0]?.slice(0, QUOTED) : undefined
}
