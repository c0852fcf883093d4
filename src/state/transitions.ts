import { errors } from '../errors/errors.js'

/** The states that may follow each state; every other move is illegal. */
export type Transitions<State extends string> = Readonly<Record<State, readonly State[]>>

/**
 * Returns the error for a move that the table does not list.
 * @param subject names the component; `trigger` names the operation that requested the move.
 */
export function illegalTransition<State extends string>(
  table: Transitions<State>,
  subject: string,
  from: State,
  to: State,
  { trigger, cause }: { readonly trigger?: string; readonly cause?: unknown } = {},
): Error {
  const legal = table[from]
  const rest = legal.length === 0 ? 'that is final' : `from ${from} it can go to ${legal.join(', ')}`
  const origin = trigger === undefined ? '' : ` (${trigger})`
  return new errors.ERR_ILLEGAL_TRANSITION(`${subject} cannot go from ${from} to ${to}${origin}; ${rest}`, {
    cause,
  })
}
