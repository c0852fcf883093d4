const EXPORT = /^export (?:abstract )?(?:async )?(class|function|const|type|interface)\*? (\w+)/gm

/**
 * Returns the files that are not named after their export: a single exported class, function or value gives
 * its file the name, in kebab case, or part of it (`sessionOptionsOf` is in `session-options.ts`). A file
 * with several equal exports has a name for the group.
 */
export function misnamed(texts: ReadonlyMap<string, string>): string[] {
  return [...texts].flatMap(([file, text]) => {
    const found = [...text.matchAll(EXPORT)].map(([, kind, name]) => ({ kind, name: name as string }))
    const leading = ['class', 'function', 'const', 'type|interface']
      .map(
        (kinds) =>
          new Set(found.filter(({ kind }) => kinds.includes(kind as string)).map(({ name }) => name)),
      )
      .find(({ size }) => size > 0)
    const base = file.replace(/^.*\/|\.c?ts$/g, '')
    if (leading?.size !== 1 || found.some(({ name }) => has(name, base))) return []
    return [`${file} exports ${[...leading].join(', ')}`]
  })
}

/** Returns true if the words of `base` occur in `name` in that order. */
function has(name: string, base: string): boolean {
  const words = name
    .replace(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_/g, '-')
    .toLowerCase()
    .split('-')
  let at = 0
  return base.split('-').every((word) => {
    const found = words.indexOf(word, at)
    at = found + 1
    return found !== -1
  })
}
