// Questions to the server. The session is a cookie that this code can't see.
export class Problem extends Error {
  constructor(readonly status: number, detail: string, readonly retryAfter = 0) { super(detail); }
}

export const base = "/api/v1";

async function ask(path: string, init?: RequestInit): Promise<Response> {
  const r = await fetch(path, { credentials: "same-origin", ...init });
  if (r.ok) return r;
  let detail = r.statusText;
  try {
    const p = (await r.json()) as { detail?: string; errors?: { location?: string; message?: string }[] };
    const first = p.errors?.[0];
    detail = first ? `${first.location ?? ""}: ${first.message ?? ""}` : (p.detail ?? detail);
  } catch { /* no problem+json */ }
  throw new Problem(r.status, detail, Number(r.headers.get("Retry-After") ?? 0));
}

export const get = async <T>(path: string, signal?: AbortSignal): Promise<T> => (await ask(base + path, { signal })).json() as Promise<T>;

export const post = async <T>(path: string, body: unknown): Promise<T> =>
  (await ask(base + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })).json() as Promise<T>;

export const patch = async <T>(path: string, body: unknown): Promise<T> =>
  (await ask(base + path, { method: "PATCH", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })).json() as Promise<T>;

export async function login(token: string): Promise<void> {
  await ask("/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token }) });
}

export async function hasSession(): Promise<boolean> {
  const r = await fetch("/session", { credentials: "same-origin" });
  return r.ok;
}
