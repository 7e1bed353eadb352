import type { ReactNode } from "react";
import { Link, Navigate, useLocation, useNavigate, useParams } from "react-router";
import { call, type ConferenceEvent, type List, type Message, type Speaker, type Venue } from "../api";
import { Form, type FieldSpec, type Values } from "../forms";
import { Page } from "../Frame";
import { Items, Loaded, useResource } from "../loading";
import { useSession } from "../session";
import { fromInput, span, toInput } from "../times";

/** Shows its content to organisers; the back end decides again for every request. */
function ForOrganisers({ title, children }: { title: string; children: ReactNode }) {
  const { user, known } = useSession();
  const { pathname } = useLocation();
  if (known && !user) return <Navigate to={`/log-in?next=${encodeURIComponent(pathname)}`} replace />;
  if (user && user.role !== "organiser") return <Page title={title} narrow><p className="notice bad">Only organisers may see this page.</p></Page>;
  return <Page title={title} narrow={title !== "Admin"}>{user && children}</Page>;
}

export function Admin() {
  return <ForOrganisers title="Admin"><Overview /></ForOrganisers>;
}

function Overview() {
  const speakers = useResource<List<Speaker>>("/speakers?limit=200");
  const events = useResource<List<ConferenceEvent>>("/events?limit=200");
  const messages = useResource<List<Message>>("/messages");
  const saved = (useLocation().state as { saved?: string } | null)?.saved;
  return (
    <>
      <p role="status" className={saved ? "notice good" : undefined}>{saved}</p>
      <section aria-labelledby="admin-events">
        <div className="beside"><h2 id="admin-events">Events</h2><Link className="button small" to="/admin/events/new">New event</Link></div>
        <Items from={events} empty="No events yet.">
          {(items) => <ul className="rows">{items.map((one) => (
            <li key={one.id}><Link to={`/admin/events/${one.id}`}>{one.title}</Link><span>{span(one.starts_at, one.ends_at)}</span><span>{one.tickets_taken} of {one.capacity} tickets</span></li>
          ))}</ul>}
        </Items>
      </section>
      <section aria-labelledby="admin-speakers">
        <div className="beside"><h2 id="admin-speakers">Speakers</h2><Link className="button small" to="/admin/speakers/new">New speaker</Link></div>
        <Items from={speakers} empty="No speakers yet.">
          {(items) => <ul className="rows">{items.map((one) => (
            <li key={one.id}><Link to={`/admin/speakers/${one.id}`}>{one.name}</Link><span>{one.position}</span><span>{one.organisation}</span></li>
          ))}</ul>}
        </Items>
      </section>
      <section aria-labelledby="admin-messages">
        <h2 id="admin-messages">Messages</h2>
        <Items from={messages} empty="Nobody has written yet.">
          {(items) => <ul className="plain">{items.map((one) => (
            <li key={one.id} className="card"><p className="muted">{one.name}, <a href={`mailto:${one.email}`}>{one.email}</a></p><p className="prose">{one.text}</p></li>
          ))}</ul>}
        </Items>
      </section>
    </>
  );
}

/** A form for one thing under `path`, new or not; after saving it goes back to the overview. */
function Editor<T>({ path, what, fields, initial, body }: {
  path: string; what: string; fields: FieldSpec[]; initial: (thing: T) => Values; body: (values: Values) => unknown;
}) {
  const { id } = useParams();
  return id === "new" ? <Sheet path={path} method="POST" what={what} fields={fields} initial={{}} body={body} />
    : <Existing path={`${path}/${id}`} what={what} fields={fields} initial={initial} body={body} />;
}

function Existing<T>({ initial, ...rest }: { path: string; what: string; fields: FieldSpec[]; initial: (thing: T) => Values; body: (values: Values) => unknown }) {
  const thing = useResource<T>(rest.path);
  return <Loaded from={thing}>{(data) => <Sheet {...rest} method="PUT" initial={initial(data)} />}</Loaded>;
}

function Sheet({ path, method, what, fields, initial, body }: {
  path: string; method: string; what: string; fields: FieldSpec[]; initial: Values; body: (values: Values) => unknown;
}) {
  const navigate = useNavigate();
  const send = async (values: Values) => {
    await call(method, path, body(values));
    navigate("/admin", { state: { saved: `${what} saved: ${values.name ?? values.title}` } });
  };
  return <Form fields={fields} initial={initial} submit="Save" send={send}><Link className="button quiet" to="/admin">Cancel</Link></Form>;
}

const title = (what: string, id?: string) => (id === "new" ? `New ${what}` : `Edit ${what}`);

export function EditSpeaker() {
  const { id } = useParams();
  return (
    <ForOrganisers title={title("speaker", id)}>
      <Editor<Speaker> path="/speakers" what="Speaker"
        initial={(speaker) => ({ ...speaker, id: "" })} body={pick("name", "position", "organisation", "biography", "website")}
        fields={[
          { name: "name", label: "Name", required: true },
          { name: "position", label: "Position" },
          { name: "organisation", label: "Organisation" },
          { name: "biography", label: "Biography", type: "area" },
          { name: "website", label: "Website", type: "url", hint: "Begins with https://" },
        ]} />
    </ForOrganisers>
  );
}

const pick = (...names: string[]) => (values: Values) => Object.fromEntries(names.map((name) => [name, values[name]]));

export function EditEvent() {
  const { id } = useParams();
  return <ForOrganisers title={title("event", id)}><EventForm /></ForOrganisers>;
}

function EventForm() {
  const venues = useResource<List<Venue>>("/venues?limit=200");
  return (
    <Items from={venues} empty="An event needs a venue, and there is none yet.">
      {(items) => (
        <Editor<ConferenceEvent> path="/events" what="Event"
          initial={(event) => ({
            title: event.title, summary: event.summary, description: event.description, capacity: String(event.capacity),
            venue_id: String(event.venue.id), starts_at: toInput(event.starts_at), ends_at: toInput(event.ends_at),
          })}
          body={(values) => ({
            ...values, capacity: Number(values.capacity), venue_id: Number(values.venue_id),
            starts_at: fromInput(values.starts_at!), ends_at: fromInput(values.ends_at!),
          })}
          fields={[
            { name: "title", label: "Title", required: true },
            { name: "summary", label: "Summary", required: true, hint: "One sentence, for lists." },
            { name: "description", label: "Description", type: "area" },
            { name: "starts_at", label: "Begins (UTC)", type: "datetime-local", required: true },
            { name: "ends_at", label: "Ends (UTC)", type: "datetime-local", required: true },
            { name: "capacity", label: "Tickets", type: "number", required: true },
            { name: "venue_id", label: "Venue", type: "choice", required: true, choices: items.map((one) => ({ value: String(one.id), label: `${one.name}, ${one.city}` })) },
          ]} />
      )}
    </Items>
  );
}
