import { feedsOf, plainSession, sendable } from '../baselines/plain-run.js'
import { runOrder } from '../harness/child.js'
import type { PlainOutputs } from '../subjects/plain.js'
import { SUBJECTS, type SubjectName } from '../subjects/subjects.js'

export interface ReferenceOrder {
  readonly subject: SubjectName
  readonly source: string
}

/** Computes the outputs of plain onnxruntime-node for every input of a subject. */
runOrder<ReferenceOrder, readonly PlainOutputs[]>(async ({ subject, source }) => {
  const session = await plainSession(source)
  const references: PlainOutputs[] = []
  for (let index = 0; index < SUBJECTS[subject].inputs; index += 1) {
    references.push(sendable(await session.run(feedsOf(SUBJECTS[subject].input(index)))))
  }
  return references
})
