import type { List, Venue } from "../api";
import { Page } from "../Frame";
import { Items, useResource } from "../loading";

export function Venues() {
  const venues = useResource<List<Venue>>("/venues");
  return (
    <Page title="Venues" lead="Where we meet, and how to get in.">
      <Items from={venues} empty="Venues will be announced soon.">
        {(items) => (
          <ul className="cards two">
            {items.map((venue) => (
              <li key={venue.id}>
                <article className="card">
                  <h2>{venue.name}</h2>
                  <address>{venue.address}, {venue.city}</address>
                  <p>{venue.description}</p>
                  <dl>
                    <dt>Room for</dt><dd>{venue.capacity} people</dd>
                    {venue.accessibility && <><dt>Access</dt><dd>{venue.accessibility}</dd></>}
                  </dl>
                </article>
              </li>
            ))}
          </ul>
        )}
      </Items>
    </Page>
  );
}
