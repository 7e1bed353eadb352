import { Link, useSearchParams } from "react-router";
import type { EventBrief, List, ScheduleEntry } from "../api";
import { Page } from "../Frame";
import { Items, useResource } from "../loading";
import { clockOf, dayOf } from "../times";

export function Programme({ entries }: { entries: ScheduleEntry[] }) {
  return (
    <ol className="programme">
      {entries.map((entry) => (
        <li key={entry.id} className={entry.presentation ? undefined : "break"}>
          <p className="when"><time dateTime={entry.starts_at}>{clockOf(entry.starts_at)}</time><span>–{clockOf(entry.ends_at)}</span></p>
          <div>
            <h3>{entry.presentation?.title ?? entry.title}</h3>
            {entry.presentation && <Speakers entry={entry} />}
            <p className="muted">{entry.presentation && <span className="tag">{entry.presentation.kind}</span>} {entry.room}</p>
          </div>
        </li>
      ))}
    </ol>
  );
}

function Speakers({ entry }: { entry: ScheduleEntry }) {
  const speakers = entry.presentation!.speakers;
  return (
    <p>
      {speakers.map((one, index) => (
        <span key={one.id}>{index > 0 && ", "}<Link to={`/speakers/${one.id}`}>{one.name}</Link></span>
      ))}
    </p>
  );
}

function byEvent(entries: ScheduleEntry[]): [EventBrief, ScheduleEntry[]][] {
  const groups = new Map<number, [EventBrief, ScheduleEntry[]]>();
  for (const entry of entries) {
    const group = groups.get(entry.event.id) ?? [entry.event, []];
    group[1].push(entry);
    groups.set(entry.event.id, group);
  }
  return [...groups.values()];
}

export function Schedule() {
  const [params, setParams] = useSearchParams();
  const chosen = Number(params.get("event") ?? 0);
  const all = useResource<List<ScheduleEntry>>("/schedule?limit=200");
  return (
    <Page title="Schedule" lead="What happens when. Times are UTC.">
      <Items from={all} empty="The schedule will follow.">
        {(entries) => {
          const groups = byEvent(entries);
          return (
            <>
              <div className="filter" role="group" aria-label="Show">
                {[[0, "Everything"] as const, ...groups.map(([event]) => [event.id, event.title] as const)].map(([id, name]) => (
                  <button key={id} type="button" className="button quiet small" aria-pressed={chosen === id}
                    onClick={() => setParams(id ? { event: String(id) } : {}, { replace: true })}>{name}</button>
                ))}
              </div>
              {groups.filter(([event]) => !chosen || event.id === chosen).map(([event, own]) => (
                <section key={event.id} aria-labelledby={`event-${event.id}`}>
                  <h2 id={`event-${event.id}`}><Link to={`/events/${event.id}`}>{event.title}</Link></h2>
                  <p className="muted">{dayOf(event.starts_at)}</p>
                  <Programme entries={own} />
                </section>
              ))}
            </>
          );
        }}
      </Items>
    </Page>
  );
}
