// Runs in replica threads. Never done: `how` says whether it waits or keeps its thread busy.
export async function load({ loaderOptions: { how } }) {
  if (how === 'waits') await new Promise(() => undefined)
  for (;;);
}
