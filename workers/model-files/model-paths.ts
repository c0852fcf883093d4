import { existsSync, realpathSync } from 'node:fs'
import { dirname, isAbsolute, normalize, resolve } from 'node:path'
import { externalFiles } from '../onnx-graph/file/external-files.js'
import { readGraph } from '../onnx-graph/file/read-graph.js'

/**
 * Returns the path from which onnxruntime finds the data files of a model, which it expects beside the path
 * that it loads. If that path is a link, the files may lie beside the link, as in the cache of Hugging Face,
 * or beside its target.
 */
export function loadablePath(source: string): string {
  // Most models are not links, and need not be read here.
  return realPathOf(source) === source ? source : pathBeside(source, dataNamesIn(source))
}

/** Returns the paths of a model's data files with these names. */
export function pathsIn(source: string, names: readonly string[]): string[] {
  const folder = dirname(pathBeside(source, names))
  return names.map((name) => resolve(folder, name))
}

/**
 * Returns the names of a model's data files, as paths from its folder. Returns none if the model cannot be
 * read, since onnxruntime reports that better. Files outside of the model's folder, which onnxruntime
 * rejects, are left out.
 */
export function dataNamesIn(source: string): string[] {
  try {
    const names = externalFiles(readGraph(source)).map((name) => normalize(name))
    return [...new Set(names)].filter(isInside)
  } catch {
    return []
  }
}

function isInside(name: string): boolean {
  return !isAbsolute(name) && name.split(/[\\/]/)[0] !== '..'
}

function pathBeside(source: string, names: readonly string[]): string {
  const hasAll = (path: string): boolean => names.every((name) => existsSync(resolve(dirname(path), name)))
  const real = realPathOf(source)
  return real === source || hasAll(source) || !hasAll(real) ? source : real
}

function realPathOf(source: string): string {
  try {
    return realpathSync(source)
  } catch {
    return source
  }
}
