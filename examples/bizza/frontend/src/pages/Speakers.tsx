import { useDeferredValue } from "react";
import { Link, useParams, useSearchParams } from "react-router";
import type { List, Speaker, SpeakerDetail } from "../api";
import { Page } from "../Frame";
import { Items, Loaded, useResource } from "../loading";
import { dayOf } from "../times";

/** Initials on a colour of their own: there are no photographs. */
export function Avatar({ name, large }: { name: string; large?: boolean }) {
  const initials = name.split(/\s+/).map((word) => word[0]).join("").slice(0, 2).toUpperCase();
  const hue = [...name].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)!) % 360, 7);
  return <span className={large ? "avatar large" : "avatar"} style={{ "--hue": hue } as React.CSSProperties} aria-hidden="true">{initials}</span>;
}

export const affiliation = (one: Speaker) => [one.position, one.organisation].filter(Boolean).join(", ");

export function SpeakerCard({ speaker }: { speaker: Speaker }) {
  return (
    <article className="card person">
      <Avatar name={speaker.name} />
      <h3><Link to={`/speakers/${speaker.id}`}>{speaker.name}</Link></h3>
      <p>{affiliation(speaker)}</p>
    </article>
  );
}

export function Speakers() {
  const [params, setParams] = useSearchParams();
  const words = params.get("q") ?? "";
  const found = useResource<List<Speaker>>(`/speakers?limit=200&q=${encodeURIComponent(useDeferredValue(words))}`);
  const total = found.data?.total;
  return (
    <Page title="Speakers" lead="The people on stage, and those who lead the workshops.">
      <form role="search" className="search" onSubmit={(event) => event.preventDefault()}>
        <label htmlFor="q">Search by name, organisation or talk</label>
        <input id="q" type="search" value={words} autoComplete="off"
          onChange={(event) => setParams(event.target.value ? { q: event.target.value } : {}, { replace: true })} />
      </form>
      <p aria-live="polite" className="count">{total === undefined ? "" : total === 1 ? "1 speaker" : `${total} speakers`}</p>
      <Items from={found} empty={words ? `Nobody was found for “${words}”.` : "Speakers will be announced soon."}>
        {(items) => <ul className="cards four">{items.map((one) => <li key={one.id}><SpeakerCard speaker={one} /></li>)}</ul>}
      </Items>
    </Page>
  );
}

export function SpeakerPage() {
  const speaker = useResource<SpeakerDetail>(`/speakers/${useParams().id}`);
  return speaker.data ? <Detail speaker={speaker.data} /> : <Page title="Speaker"><Loaded from={speaker}>{() => null}</Loaded></Page>;
}

function Detail({ speaker }: { speaker: SpeakerDetail }) {
  return (
    <Page title={speaker.name} lead={affiliation(speaker)} narrow>
      <div className="profile">
        <Avatar name={speaker.name} large />
        <div>
          <p className="prose">{speaker.biography || "More about this speaker will follow."}</p>
          {speaker.website && <p><a href={speaker.website} rel="noreferrer">{speaker.website.replace(/^https?:\/\//, "")}</a></p>}
        </div>
      </div>
      <h2>At Bizza</h2>
      {speaker.presentations.length === 0 && <p className="notice">Nothing has been announced yet.</p>}
      <ul className="plain">
        {speaker.presentations.map((one) => (
          <li key={one.id} className="card">
            <p className="tag">{one.kind}</p>
            <h3>{one.title}</h3>
            <p>{one.abstract}</p>
            <p className="muted"><Link to={`/events/${one.event.id}`}>{one.event.title}</Link>, {dayOf(one.event.starts_at)}</p>
          </li>
        ))}
      </ul>
      <p><Link to="/speakers">All speakers</Link></p>
    </Page>
  );
}
