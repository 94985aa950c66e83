// An agent made with @a2a-js/sdk's server and express: `node agent.mjs PORT LOG`. JSON-RPC at /rpc, HTTP+JSON at /rest.
// A text is words, each one act, as `tests/a2a_agent.py` has them; LOG gets a line of JSON for each message.
import { appendFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import express from 'express';
import { AgentEvent, DefaultRequestHandler, InMemoryTaskStore } from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, restHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import { Role, TaskState } from '@a2a-js/sdk';

const [port, log] = process.argv.slice(2);
const root = `http://127.0.0.1:${port}`;
const SCHEMA = {
  type: 'object',
  title: 'Trip',
  properties: { day: { type: 'string', title: 'Day' } },
  required: ['day'],
};
const ENDS = {
  done: TaskState.TASK_STATE_COMPLETED,
  ask: TaskState.TASK_STATE_INPUT_REQUIRED,
  form: TaskState.TASK_STATE_INPUT_REQUIRED,
  fail: TaskState.TASK_STATE_FAILED,
};

const part = ($case, value, filename = '', mediaType = '') => ({
  content: { $case, value },
  metadata: undefined,
  filename,
  mediaType,
});
const plain = (text) => text.replaceAll('_', ' ');

class Acting {
  #cancelled = new Set();

  async execute(context, bus) {
    const { taskId, contextId, userMessage } = context;
    const texts = userMessage.parts.filter((each) => each.content?.$case === 'text');
    const data = userMessage.parts.find((each) => each.content?.$case === 'data')?.content.value;
    const text = data ? `A:values:${JSON.stringify(data)} done:Thanks` : texts.map((each) => each.content.value).join(' ');
    appendFileSync(log, `${JSON.stringify({ messageId: userMessage.messageId, taskId, contextId, text })}\n`);
    const status = (state, words, ...more) => {
      const message = {
        messageId: randomUUID(),
        contextId,
        taskId,
        role: Role.ROLE_AGENT,
        parts: [part('text', words ?? ''), ...more],
        metadata: undefined,
        extensions: [],
        referenceTaskIds: [],
      };
      return { state, message: words ? message : undefined, timestamp: new Date().toISOString() };
    };
    const tells = (state, words, ...more) =>
      bus.publish(AgentEvent.statusUpdate({ taskId, contextId, status: status(state, words, ...more), metadata: undefined }));
    const gives = (artifactId, parts, append, lastChunk) =>
      bus.publish(
        AgentEvent.artifactUpdate({
          taskId,
          contextId,
          artifact: { artifactId, name: '', description: '', parts, metadata: undefined, extensions: [] },
          append,
          lastChunk,
          metadata: undefined,
        }),
      );
    const begun = new Set();
    bus.publish(
      AgentEvent.task(
        context.task ?? {
          id: taskId,
          contextId,
          status: status(TaskState.TASK_STATE_SUBMITTED),
          artifacts: [],
          history: [userMessage],
          metadata: undefined,
        },
      ),
    );
    tells(TaskState.TASK_STATE_WORKING);
    for (const act of text.split(/\s+/)) {
      const [name, ...rest] = act.split(':');
      const words = rest.join(':');
      if (name in ENDS) {
        tells(ENDS[name], plain(words), ...(name === 'form' ? [part('data', SCHEMA)] : []));
        return;
      }
      if (name === 'a' || name === 'A') {
        gives(rest[0], [part('text', plain(rest.slice(1).join(':')))], begun.has(rest[0]), name === 'A');
        begun.add(rest[0]);
      } else if (name === 'raw') {
        gives('table', [part('raw', Buffer.from(words), 'table.csv', 'text/csv')], false, true);
      } else if (name === 'wait') {
        while (!this.#cancelled.has(taskId)) await pause(20); // ends: when it is cancelled, or the test stops us
        tells(TaskState.TASK_STATE_CANCELED);
        return;
      }
    }
    tells(TaskState.TASK_STATE_COMPLETED);
  }

  cancelTask = async (taskId) => {
    appendFileSync(log, `${JSON.stringify({ cancelled: taskId })}\n`);
    this.#cancelled.add(taskId);
  };
}

const app = express();
for (const [name, protocolBinding] of [['rpc', 'JSONRPC'], ['rest', 'HTTP+JSON']]) {
  const card = {
    name: `JavaScript ${name}`,
    description: 'Does what is written.',
    version: '1',
    supportedInterfaces: [{ url: `${root}/${name}`, protocolBinding, tenant: '', protocolVersion: '1.0' }],
    provider: undefined,
    capabilities: { streaming: true, pushNotifications: false, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ['text/plain'],
    defaultOutputModes: ['text/plain'],
    skills: [],
    signatures: [],
  };
  const requestHandler = new DefaultRequestHandler(card, new InMemoryTaskStore(), new Acting());
  const userBuilder = UserBuilder.noAuthentication;
  app.use(`/${name}/.well-known/agent-card.json`, agentCardHandler({ agentCardProvider: requestHandler }));
  app.use(`/${name}`, (name === 'rpc' ? jsonRpcHandler : restHandler)({ requestHandler, userBuilder }));
}
app.listen(Number(port), '127.0.0.1');
