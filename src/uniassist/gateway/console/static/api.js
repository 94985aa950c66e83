// The console's HTTP calls. A token, where one is needed, is kept for this tab only.

const TOKEN = "console.token";
const APP_TOKEN = "console.appToken";
export let me = null;

/** What a call was refused with; `status` 0: no answer came. */
export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (value) => (value ? sessionStorage.setItem(TOKEN, value) : sessionStorage.removeItem(TOKEN)),
};

export const appToken = {
  get: () => sessionStorage.getItem(APP_TOKEN),
  set: (value) => (value ? sessionStorage.setItem(APP_TOKEN, value) : sessionStorage.removeItem(APP_TOKEN)),
};

export function query(fields) {
  const given = Object.entries(fields ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(given).toString();
  return text ? `?${text}` : "";
}

export async function call(method, path, { body, headers, signal } = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: { ...(body ? { "content-type": "application/json" } : {}), ...headers },
      body: body ? JSON.stringify(body) : undefined,
      signal,
      cache: "no-store",
      credentials: "same-origin",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "AWAY", "the gateway doesn't answer");
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Problem(answer.status, problem.code ?? "HTTP", problem.detail ?? `HTTP ${answer.status}`);
  }
  return answer;
}

export function withToken() {
  return token.get() ? { authorization: `Bearer ${token.get()}` } : {};
}

async function own(method, path, options = {}) {
  try {
    return await call(method, `console/v0/${path}`, { ...options, headers: { ...withToken(), ...options.headers } });
  } catch (problem) {
    if (problem.status === 401) dispatchEvent(new CustomEvent("console-login", { detail: problem }));
    throw problem;
  }
}

export async function get(path, fields, options) {
  return (await own("GET", path + query(fields), options)).json();
}

export async function post(path, body) {
  return (await own("POST", path, { body: { schemaVersion: "v0", ...body } })).json();
}

export async function whoAmI() {
  me = await get("me");
  return me;
}

/** A change: with the act token of this hour, fetched again where it has grown old. */
export async function act(path, body) {
  for (let tries = 0; ; tries += 1) {
    try {
      const headers = { "x-console-act": me?.actToken ?? "" };
      return await (await own("POST", path, { body: { schemaVersion: "v0", ...body }, headers })).json();
    } catch (problem) {
      if (problem.code !== "STALE_ACT_TOKEN" || tries > 0) throw problem;
      await whoAmI();
    }
  }
}

/** What a person of the app does: through the same calls as any app. */
export async function asUser(path, body) {
  const headers = appToken.get() ? { authorization: `Bearer ${appToken.get()}` } : {};
  const whole = { schemaVersion: "v0", traceId: `console-${crypto.randomUUID()}`, timestampMs: Date.now(), ...body };
  return (await call("POST", `v0/${path}`, { body: whole, headers })).json();
}
