import { useEffect } from "react";
import { Link } from "react-router";
import type { ConferenceEvent, List, Speaker, Sponsor } from "../api";
import { Items, useResource } from "../loading";
import { dayOf } from "../times";
import { EventCard } from "./Events";
import { SpeakerCard } from "./Speakers";

export function Home() {
  const events = useResource<List<ConferenceEvent>>("/events?when=upcoming&limit=3");
  const speakers = useResource<List<Speaker>>("/speakers?limit=4");
  const sponsors = useResource<List<Sponsor>>("/sponsors");
  useEffect(() => { document.title = "Bizza"; }, []);
  const next = events.data?.items[0];
  return (
    <>
      <section className="hero">
        <div className="wrap">
          <p className="eyebrow">{next ? `${dayOf(next.starts_at)} · ${next.venue.city}` : "The conference"}</p>
          <h1>Companies, and the software they stand on</h1>
          <p className="lead">Bizza brings together people who found companies and people who build systems. Few slides, long breaks, honest numbers.</p>
          <p className="actions">
            <Link className="button" to={next ? `/events/${next.id}` : "/events"}>Get a ticket</Link>
            <Link className="button quiet" to="/schedule">See the schedule</Link>
          </p>
        </div>
      </section>
      <div className="wrap">
        <section aria-labelledby="coming">
          <h2 id="coming">Coming up</h2>
          <Items from={events} empty="No event is planned at the moment.">
            {(items) => <ul className="cards">{items.map((event) => <li key={event.id}><EventCard event={event} /></li>)}</ul>}
          </Items>
        </section>
        <section aria-labelledby="voices">
          <div className="beside"><h2 id="voices">Speakers</h2><Link to="/speakers">All speakers</Link></div>
          <Items from={speakers} empty="Speakers will be announced soon.">
            {(items) => <ul className="cards four">{items.map((one) => <li key={one.id}><SpeakerCard speaker={one} /></li>)}</ul>}
          </Items>
        </section>
        <section aria-labelledby="thanks">
          <h2 id="thanks">Made possible by</h2>
          <Items from={sponsors} empty="We are looking for sponsors.">
            {(items) => <ul className="names">{items.map((one) => <li key={one.id}>{one.name}</li>)}</ul>}
          </Items>
        </section>
      </div>
    </>
  );
}
