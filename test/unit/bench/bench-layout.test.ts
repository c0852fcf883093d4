import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type ImportMap, mutualFolders } from '../../support/rules/import-rules.js'
import { importsOf } from '../../support/rules/imports-of.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const maxLines = 320
const maxFiles = 12

/** Returns the sources under `folders` by their path from the root. */
function sourcesUnder(...folders: string[]): Map<string, string> {
  return new Map(
    folders.flatMap((folder) =>
      readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
        .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
        .filter((file) => /\.c?ts$/.test(file))
        .map((file) => [file, readFileSync(`${root}${file}`, 'utf8')] as const),
    ),
  )
}

const texts = sourcesUnder('bench', 'models')
const files: ImportMap = Object.fromEntries([...texts].map(([file, text]) => [file, importsOf(text)]))

describe('the benches and the models', () => {
  it('import nothing from the tests, nor do the examples', () => {
    const targets = [...texts, ...sourcesUnder('examples')].flatMap(([file, text]) =>
      importsOf(text)
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ specifier }) => `${file} -> ${posix.join(dirname(file), specifier)}`),
    )
    expect(targets.length).toBeGreaterThan(0)
    expect(targets.filter((target) => target.includes('-> test/'))).toEqual([])
  })

  it('lie in folders of which no two import each other', () => {
    expect(mutualFolders(files)).toEqual([])
  })

  it(`have at most ${maxLines} lines per file and ${maxFiles} files per folder`, () => {
    const long = [...texts].filter(([, text]) => text.trimEnd().split('\n').length > maxLines)
    expect(long.map(([file]) => file)).toEqual([])
    const folders = [...texts.keys()].map((file) => dirname(file))
    const full = folders.filter((folder) => folders.filter((other) => other === folder).length > maxFiles)
    expect([...new Set(full)]).toEqual([])
  })

  it('have a scope in every folder of scopes', () => {
    const scopes = readdirSync(`${root}bench/scopes`)
    expect(scopes.length).toBeGreaterThan(0)
    expect(scopes.filter((scope) => !existsSync(`${root}bench/scopes/${scope}/scope.ts`))).toEqual([])
  })
})
