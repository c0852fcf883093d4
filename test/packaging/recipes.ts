import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeBlocks, filesIn, sectionOf } from '../support/markdown.js'
import { packageRoot } from './surroundings.js'

export interface Recipe {
  /** By the name that their first line gives them, in a comment. */
  readonly files: Readonly<Record<string, string>>
  readonly commands: readonly string[]
}

/** The files and commands that a section of `docs/<page>.md` prints. */
export function recipeOf(page: string, heading: string): Recipe {
  const section = sectionOf(readFileSync(join(packageRoot, `docs/${page}.md`), 'utf8'), heading)
  return { files: filesIn(section, 'js'), commands: codeBlocks(section, 'sh') }
}
