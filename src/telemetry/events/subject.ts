/** The application, as the subject of an event. */
export interface ApplicationSubject {
  readonly kind: 'application'
  readonly name: string
}

/** A version of a model, as the subject of an event. */
export interface ModelSubject {
  readonly kind: 'model'
  readonly model: string
  readonly version: string
}

/** A resource, as the subject of an event. */
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
