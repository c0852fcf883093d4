// Runs in replica threads. A load that never returns: `how` selects waiting or a busy loop.
export async function load({ loaderOptions: { how } }) {
  if (how === 'waits') await new Promise(() => undefined)
  for (;;);
}
