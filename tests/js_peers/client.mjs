// @a2a-js/sdk's client: `node client.mjs URL TRANSPORT`. A line of JSON in is one call, {"call", "params", "headers"};
// each line out is what came of it, and {"end": true} or {"error"} ends it.
import { createInterface } from 'node:readline';
import {
  ClientFactory,
  ClientFactoryOptions,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from '@a2a-js/sdk/client';
import { CancelTaskRequest, GetTaskRequest, SendMessageRequest, StreamResponse, SubscribeToTaskRequest, Task } from '@a2a-js/sdk';

const [url, transport] = process.argv.slice(2);
const transports = [new JsonRpcTransportFactory(), new RestTransportFactory()];
const options = ClientFactoryOptions.createFrom(ClientFactoryOptions.default, {
  transports,
  preferredTransports: [transport],
});
const client = await new ClientFactory(options).createFromUrl(url);
const tell = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
tell({ card: (await client.getAgentCard()).name, transport: client.transport.protocolName });

const CALLS = {
  stream: async (params, given) => {
    for await (const each of client.sendMessageStream(SendMessageRequest.fromJSON(params), given)) tell(StreamResponse.toJSON(each));
  },
  send: async (params, given) => tell(await client.sendMessage(SendMessageRequest.fromJSON(params), given)),
  get: async (params, given) => tell(Task.toJSON(await client.getTask(GetTaskRequest.fromJSON(params), given))),
  cancel: async (params, given) => tell(Task.toJSON(await client.cancelTask(CancelTaskRequest.fromJSON(params), given))),
  subscribe: async (params, given) => {
    for await (const each of client.resubscribeTask(SubscribeToTaskRequest.fromJSON(params), given)) tell(StreamResponse.toJSON(each));
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { call, params, headers } = JSON.parse(line);
  try {
    await CALLS[call](params, { serviceParameters: headers ?? {} });
    tell({ end: true });
  } catch (error) {
    tell({ error: String(error) });
  }
}
