/** Times as people read them. Conference times are shown in UTC, which is what the organisers enter. */
const format = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
const day = format({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
const clock = format({ hour: "2-digit", minute: "2-digit" });

export const dayOf = (iso: string) => day.format(new Date(iso));
export const clockOf = (iso: string) => clock.format(new Date(iso));
export const monthOf = (iso: string) => format({ month: "short" }).format(new Date(iso));
export const dateOf = (iso: string) => format({ day: "numeric" }).format(new Date(iso));

/** "Monday, 4 May 2026, 09:00–17:00", or both days where they differ. */
export function span(from: string, to: string): string {
  if (dayOf(from) === dayOf(to)) return `${dayOf(from)}, ${clockOf(from)}\u2060–\u2060${clockOf(to)}`;
  return `${dayOf(from)}, ${clockOf(from)} – ${dayOf(to)}, ${clockOf(to)}`;
}

/** For an input of type datetime-local, and back. */
export const toInput = (iso: string) => new Date(iso).toISOString().slice(0, 16);
export const fromInput = (value: string) => (value ? `${value}:00Z` : value);
