import { channel } from 'node:diagnostics_channel'
import { ENGINE_EVENTS, type EngineSubscriber } from './event-map.js'

/**
 * Publishes each event on the channel `tbcoin-engine:<event>`. Channels belong to the process, so all copies of this
 * package share them. Node raises the error of a channel's subscriber as an uncaught exception.
 */
export const diagnosticsChannels: EngineSubscriber = Object.fromEntries(
  Object.keys(ENGINE_EVENTS).map((name) => {
    const eventChannel = channel(`tbcoin-engine:${name}`)
    const publish = (event: unknown): void => {
      if (eventChannel.hasSubscribers) eventChannel.publish(event)
    }
    return [name, publish]
  }),
)
