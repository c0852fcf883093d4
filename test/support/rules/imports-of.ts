/** The way in which a file names another one. */
export type ImportKind = 'static' | 'type' | 'dynamic' | 'url'

export interface ImportRef {
  /** The specifier as written. */
  readonly specifier: string
  readonly kind: ImportKind
}

/** Matches whole-line comments, and strings that contain quotes, which import nothing. */
const EXAMPLE = /^\s*(?:\/\/|\/?\*).*$|"[^"\n]*"/gm
/**
 * Matches import statements that Biome has formatted: each begins its line and has its specifier in single
 * quotes.
 */
const STATEMENT = /^(?:import|export)( type)? (?:[\w*{][^'"`;=()]*? from )?'([^'\n]+)'/gm
const CALL =
  /(?<!\.|example )\b(import|require|new URL|import\.meta\.resolve|createRequire\([^()]*\))\(\s*'([^'\n]+)'/g

/** Returns every file or package that a source names: imports, re-exports, `import()`, `require()` and `new URL()`. */
export function importsOf(source: string): ImportRef[] {
  const code = source.replace(EXAMPLE, '')
  const statements = [...code.matchAll(STATEMENT)].map(([, type, specifier]) => ({
    specifier: specifier as string,
    kind: type === undefined ? ('static' as const) : ('type' as const),
  }))
  const calls = [...code.matchAll(CALL)].map(([, call, specifier]) => ({
    specifier: specifier as string,
    kind: call === 'new URL' || call === 'import.meta.resolve' ? ('url' as const) : ('dynamic' as const),
  }))
  return [...statements, ...calls]
}
