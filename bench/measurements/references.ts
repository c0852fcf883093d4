import { feedsOf, plainSession, sendable } from '../baselines/plain-run.js'
import { fulfil } from '../harness/child.js'
import type { PlainOutputs } from '../subjects/plain.js'
import { SUBJECTS, type SubjectName } from '../subjects/subjects.js'

export interface ReferenceOrder {
  readonly subject: SubjectName
  readonly source: string
}

/** What plain onnxruntime-node answers to every input of a subject. */
fulfil<ReferenceOrder, readonly PlainOutputs[]>(async ({ subject, source }) => {
  const session = await plainSession(source)
  const answers: PlainOutputs[] = []
  for (let index = 0; index < SUBJECTS[subject].inputs; index += 1) {
    answers.push(sendable(await session.run(feedsOf(SUBJECTS[subject].input(index)))))
  }
  return answers
})
