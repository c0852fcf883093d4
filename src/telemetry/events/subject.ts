export interface ApplicationSubject {
  readonly kind: 'application'
  readonly name: string
}

export interface ModelSubject {
  readonly kind: 'model'
  readonly model: string
  readonly version: string
}

export interface ResourceSubject {
  readonly kind: 'resource'
  readonly name: string
}

/** The component that an event is about. */
export type Subject = ApplicationSubject | ModelSubject | ResourceSubject

export function modelSubject({ model, version }: Omit<ModelSubject, 'kind'>): ModelSubject {
  return { kind: 'model', model, version }
}

/** Returns the subject as text, for example `model vad@5`. */
export function componentOf(subject: Subject): string {
  const name = subject.kind === 'model' ? `${subject.model}@${subject.version}` : subject.name
  return `${subject.kind} ${name}`
}
