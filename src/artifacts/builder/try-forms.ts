import {
  ARTIFACT_FORMS,
  type BuildDone,
  type BuildOrder,
  type RejectedForm,
} from '../../protocol/builder/builder-messages.js'
import { successOf } from '../../protocol/failure.js'
import { BuilderDeath } from './builder-failure.js'
import type { BuilderProcess } from './builder-process.js'
import { refusal } from './probe.js'
import type { BuilderLimits } from './send-order.js'

/**
 * Builds forms of an artifact, best first, until one is proven; continues with the next form if one crashes
 * the builder.
 * @throws BuilderDeath if the builder was killed or exceeded a limit, which says nothing about the model;
 * ERR_MODEL_LOAD if the original crashes the builder.
 */
export async function tryForms(
  builder: BuilderProcess,
  order: Omit<BuildOrder, 'kind' | 'forms'>,
  limits: BuilderLimits,
): Promise<BuildDone> {
  const rejected: RejectedForm[] = []
  for (;;) {
    const forms = ARTIFACT_FORMS.filter((form) => rejected.every((rejection) => rejection.form !== form))
    if (forms.length === 0) return { ok: true, form: undefined, files: [], isFlushed: true, rejected }
    try {
      const built = successOf(await builder.run({ kind: 'build', ...order, forms }, limits))
      return { ...built, rejected: [...rejected, ...built.rejected] }
    } catch (error) {
      if (!(error instanceof BuilderDeath) || error.kind !== 'fault') throw error
      rejected.push(...error.rejected)
      const culprit = forms.find((form) => form === error.step)
      // A crash outside the steps of the forms comes from the original, which would crash this process too.
      if (culprit === undefined) throw refusal(order, error)
      rejected.push({ form: culprit, reason: error.message })
    }
  }
}
