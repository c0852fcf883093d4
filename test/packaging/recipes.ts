import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeBlocks, filesIn, sectionOf } from '../support/markdown.js'
import { packageRoot } from './surroundings.js'

export interface Recipe {
  /** The files by the name in the comment on their first line. */
  readonly files: Readonly<Record<string, string>>
  readonly commands: readonly string[]
}

/** Returns the files and commands in a section of `docs/<page>.md`. */
export function recipeOf(page: string, heading: string): Recipe {
  const section = sectionOf(readFileSync(join(packageRoot, `docs/${page}.md`), 'utf8'), heading)
  return { files: filesIn(section, 'js'), commands: codeBlocks(section, 'sh') }
}
