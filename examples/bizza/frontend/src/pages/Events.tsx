import { useState } from "react";
import { Link, useParams } from "react-router";
import { call, type Attendee, type ConferenceEvent, type List, type ScheduleEntry, type Ticket } from "../api";
import { Form } from "../forms";
import { Page } from "../Frame";
import { Items, Loaded, useResource } from "../loading";
import { useSession } from "../session";
import { dateOf, monthOf, span } from "../times";
import { Programme } from "./Schedule";

const over = (event: ConferenceEvent) => new Date(event.ends_at) < new Date();

function places(event: ConferenceEvent): string {
  const free = event.capacity - event.tickets_taken;
  if (over(event)) return "This event is over";
  if (free <= 0) return "Fully booked";
  return free === 1 ? "1 place left" : `${free} places left`;
}

export function EventCard({ event }: { event: ConferenceEvent }) {
  return (
    <article className="card event">
      <p className="date" aria-hidden="true"><b>{dateOf(event.starts_at)}</b>{monthOf(event.starts_at)}</p>
      <div>
        <h3><Link to={`/events/${event.id}`}>{event.title}</Link></h3>
        <p>{event.summary}</p>
        <p className="muted">{span(event.starts_at, event.ends_at)}<br />{event.venue.name}, {event.venue.city}</p>
        <p className="tag">{places(event)}</p>
      </div>
    </article>
  );
}

export function Events() {
  const events = useResource<List<ConferenceEvent>>("/events?when=upcoming");
  return (
    <Page title="Events" lead="Come for a day, or for an evening. Times are UTC.">
      <Items from={events} empty="No event is planned at the moment.">
        {(items) => <ul className="cards two">{items.map((event) => <li key={event.id}><EventCard event={event} /></li>)}</ul>}
      </Items>
    </Page>
  );
}

export function EventPage() {
  const event = useResource<ConferenceEvent>(`/events/${useParams().id}`);
  return event.data ? <Detail event={event.data} changed={event.reload} /> : <Page title="Event"><Loaded from={event}>{() => null}</Loaded></Page>;
}

function Detail({ event, changed }: { event: ConferenceEvent; changed: () => void }) {
  const entries = useResource<List<ScheduleEntry>>(`/schedule?event=${event.id}`);
  return (
    <Page title={event.title} lead={event.summary}>
      <div className="columns">
        <p className="prose">{event.description}</p>
        <aside className="card side" aria-label="When, where and registration">
          <dl>
            <dt>When</dt><dd>{span(event.starts_at, event.ends_at)} (UTC)</dd>
            <dt>Where</dt><dd>{event.venue.name}<br />{event.venue.address}, {event.venue.city}</dd>
            <dt>Places</dt><dd>{places(event)} of {event.capacity}</dd>
          </dl>
          <Registration event={event} changed={changed} />
        </aside>
        <div>
          <h2>Programme</h2>
          <Items from={entries} empty="The programme will follow.">{(items) => <Programme entries={items} />}</Items>
        </div>
      </div>
    </Page>
  );
}

function Registration({ event, changed }: { event: ConferenceEvent; changed: () => void }) {
  const { user, known } = useSession();
  const here = encodeURIComponent(`/events/${event.id}`);
  if (!known) return null;
  if (user) return <Register event={event} changed={changed} name={user.name} />;
  if (over(event)) return null;
  return (
    <>
      <p>To register you need an account.</p>
      <p className="actions">
        <Link className="button" to={`/sign-up?next=${here}`}>Sign up</Link>
        <Link className="button quiet" to={`/log-in?next=${here}`}>Log in</Link>
      </p>
    </>
  );
}

function Register({ event, changed, name }: { event: ConferenceEvent; changed: () => void; name: string }) {
  const tickets = useResource<List<Ticket>>("/tickets?limit=200");
  const badge = useResource<{ attendee: Attendee | null }>("/attendee");
  const [fresh, setFresh] = useState<Ticket | null>(null);
  const ticket = fresh ?? tickets.data?.items.find((one) => one.event.id === event.id);
  if (ticket) {
    return (
      <div className="notice good" role="status">
        <p><strong>You are registered.</strong> Your ticket:</p>
        <p className="code">{ticket.code}</p>
        <p><Link to="/tickets">My tickets</Link></p>
      </div>
    );
  }
  if (over(event) || event.tickets_taken >= event.capacity) return <p className="notice">{places(event)}.</p>;
  const send = async (values: Record<string, string>) => {
    setFresh(await call<Ticket>("POST", `/events/${event.id}/tickets`, values));
    changed();
  };
  return (
    <Loaded from={badge}>
      {({ attendee }) => (
        <>
          <h2>Register</h2>
          <Form submit="Register" send={send}
            initial={attendee ? { ...attendee, id: "" } : { badge_name: name }}
            fields={[
              { name: "badge_name", label: "Name on the badge", required: true, autoComplete: "name" },
              { name: "organisation", label: "Organisation", autoComplete: "organization" },
              { name: "needs", label: "What should we know?", type: "area", hint: "Food, access, anything that makes your day better." },
            ]} />
        </>
      )}
    </Loaded>
  );
}
