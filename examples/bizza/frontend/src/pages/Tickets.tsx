import { useState } from "react";
import { Link, Navigate } from "react-router";
import { call, type List, type Ticket } from "../api";
import { Page } from "../Frame";
import { Items, useResource } from "../loading";
import { useSession } from "../session";
import { span } from "../times";

export function Tickets() {
  const { user, known } = useSession();
  if (known && !user) return <Navigate to="/log-in?next=/tickets" replace />;
  return <Page title="My tickets" narrow>{user && <Own />}</Page>;
}

function Own() {
  const tickets = useResource<List<Ticket>>("/tickets?limit=200");
  const [said, setSaid] = useState("");
  async function giveBack(ticket: Ticket) {
    if (!window.confirm(`Give back your ticket for ${ticket.event.title}? Somebody else may take your place.`)) return;
    await call("DELETE", `/tickets/${ticket.id}`).then(
      () => setSaid(`Your ticket for ${ticket.event.title} has been given back.`),
      (error: Error) => setSaid(error.message),
    );
    tickets.reload();
  }
  return (
    <>
      <p role="status">{said}</p>
      <Items from={tickets} empty="You have no tickets yet.">
        {(items) => (
          <ul className="plain">
            {items.map((ticket) => (
              <li key={ticket.id} className="card ticket">
                <h2><Link to={`/events/${ticket.event.id}`}>{ticket.event.title}</Link></h2>
                <p>{span(ticket.event.starts_at, ticket.event.ends_at)}<br />{ticket.event.venue.name}, {ticket.event.venue.city}</p>
                <p className="muted">For {ticket.attendee.badge_name}</p>
                <p className="code">{ticket.code}</p>
                <button type="button" className="button quiet small" onClick={() => giveBack(ticket)}>Give back</button>
              </li>
            ))}
          </ul>
        )}
      </Items>
      <p><Link to="/events">All events</Link></p>
    </>
  );
}
