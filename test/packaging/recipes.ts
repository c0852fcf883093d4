import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeBlocks, sectionOf } from '../fixtures/markdown.js'
import { packageRoot } from './surroundings.js'

export interface Recipe {
  /** By the name that their first line gives them, in a comment. */
  readonly files: Readonly<Record<string, string>>
  readonly commands: readonly string[]
}

/** The files and commands that a section of `docs/<page>.md` prints. */
export function recipeOf(page: string, heading: string): Recipe {
  const section = sectionOf(readFileSync(join(packageRoot, `docs/${page}.md`), 'utf8'), heading)
  const files = codeBlocks(section, 'js').map(
    (text) => [/^\/\/ (\S+)/.exec(text)?.[1] as string, text] as const,
  )
  return { files: Object.fromEntries(files), commands: codeBlocks(section, 'sh') }
}
