/** A back end made of answers by "METHOD path", and the whole application on top of it. */
import { render } from "@testing-library/react";
import { MemoryRouter } from "react-router";
import { vi } from "vitest";
import { App } from "../src/App";
import { SessionProvider } from "../src/session";

export type Answer = { status?: number; body?: unknown };
type Answers = Record<string, unknown | ((body: unknown) => Answer)>;

export const ADA = { id: 1, name: "Ada", email: "ada@example.org", role: "attendee" };
export const OLGA = { id: 2, name: "Olga", email: "olga@example.org", role: "organiser" };
export const HALL = { id: 1, name: "Hall", address: "1 Street", city: "Bath", capacity: 50, description: "", accessibility: "" };
export const SUMMIT = {
  id: 7, title: "Summit", summary: "A day", description: "", starts_at: "2090-05-01T09:00:00Z", ends_at: "2090-05-01T17:00:00Z",
  capacity: 10, tickets_taken: 9, venue: HALL,
};
export const GRACE = { id: 3, name: "Grace Hopper", position: "Admiral", organisation: "Navy", biography: "Wrote a compiler.", website: "" };
export const list = <T,>(...items: T[]) => ({ items, total: items.length });

/** Shows the page at `path`; gives the requests that were made. An address without an answer is a 404. */
export function visit(path: string, answers: Answers = {}) {
  const asked: { method: string; path: string; body: unknown; headers: Record<string, string> }[] = [];
  const known: Answers = { "GET /session": { user: null, csrf: null }, ...answers };
  vi.stubGlobal("fetch", async (address: string, init: RequestInit) => {
    const body = init.body ? JSON.parse(String(init.body)) : undefined;
    const key = `${init.method} ${address.replace(/^\/api/, "")}`;
    asked.push({ method: init.method!, path: address, body, headers: init.headers as Record<string, string> });
    const found = known[key] ?? known[key.split("?")[0]!];
    const missing = { status: 404, body: { error: { code: "not_found", message: "There is no such page.", fields: {} } } };
    const answer: Answer = found === undefined ? missing : typeof found === "function" ? found(body) : { body: found };
    const status = answer.status ?? 200;
    return new Response(status === 204 ? null : JSON.stringify(answer.body), { status });
  });
  render(<MemoryRouter initialEntries={[path]}><SessionProvider><App /></SessionProvider></MemoryRouter>);
  return asked;
}

export const as = (user: unknown) => ({ "GET /session": { user, csrf: "token-of-the-session" } });
export const refusal = (status: number, message: string, fields = {}) => () => ({ status, body: { error: { code: "x", message, fields } } });
