/** The back end's resources, and the one way of asking it. */

export type User = { id: number; name: string; email: string; role: "attendee" | "organiser" };
export type Venue = {
  id: number; name: string; address: string; city: string; capacity: number; description: string; accessibility: string;
};
export type EventBrief = { id: number; title: string; starts_at: string; ends_at: string };
export type ConferenceEvent = EventBrief & {
  summary: string; description: string; capacity: number; tickets_taken: number; venue: Venue;
};
export type Speaker = {
  id: number; name: string; position: string; organisation: string; biography: string; website: string;
};
export type Presentation = {
  id: number; title: string; kind: string; abstract: string; event: EventBrief; speakers: Speaker[];
};
export type SpeakerDetail = Speaker & { presentations: Presentation[] };
export type ScheduleEntry = {
  id: number; event: EventBrief; presentation: Presentation | null; title: string; room: string;
  starts_at: string; ends_at: string;
};
export type Sponsor = { id: number; name: string; tier: "gold" | "silver" | "bronze"; website: string; description: string };
export type Attendee = { id: number; badge_name: string; organisation: string; needs: string };
export type Ticket = { id: number; code: string; issued_at: string; event: ConferenceEvent; attendee: Attendee };
export type Message = { id: number; name: string; email: string; text: string; sent_at: string };
export type Session = { user: User | null; csrf: string | null };
export type List<T> = { items: T[]; total: number };

/** What the back end refused; `fields` says what is wrong with which field of a form. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly fields: Record<string, string> = {},
  ) {
    super(message);
  }
}

let csrf: string | null = null;

/** Ask /api and give its JSON; throws ApiError, with status 0 when nothing was reached. */
export async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (csrf) headers["X-CSRF-Token"] = csrf;
  const ask = () => fetch(`/api${path}`, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  const response = await ask()
    // Browsers drop requests when the machine changes networks; reading may be tried again without harm.
    .catch((error) => (method === "GET" && !signal?.aborted ? ask() : Promise.reject(error)))
    .catch((error) => {
      throw signal?.aborted ? error : new ApiError(0, "The site cannot be reached. Are you online?");
    });
  const content = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) {
    const said = content?.error;
    throw new ApiError(response.status, said?.message ?? "Something went wrong. Please try again.", said?.fields);
  }
  return content as T;
}

export const read = <T>(path: string, signal?: AbortSignal) => call<T>("GET", path, undefined, signal);

/** Ask for, open or end a session, and remember the value that later requests repeat. */
export async function session(method: "GET" | "POST" | "DELETE", body?: unknown, path = "/session"): Promise<User | null> {
  const answer = await call<Session | null>(method, path, body);
  csrf = answer?.csrf ?? null;
  return answer?.user ?? null;
}
