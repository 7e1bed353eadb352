import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { nextPage } from "../src/pages/Account";
import { ADA, GRACE, HALL, OLGA, SUMMIT, as, list, refusal, visit } from "./site";

const TICKET = { id: 1, code: "ABCDEFGHJK", issued_at: SUMMIT.starts_at, event: SUMMIT, attendee: { id: 1, badge_name: "Ada", organisation: "", needs: "" } };

describe("signing up", () => {
  it("shows each mistake beside its field and goes to the first", async () => {
    visit("/sign-up", { "POST /users": refusal(422, "Some fields need another look.", { password: "Too short." }) });
    await userEvent.type(await screen.findByLabelText("Your name"), "Ada");
    await userEvent.type(screen.getByLabelText("E-mail"), "ada@example.org");
    await userEvent.type(screen.getByLabelText("Password"), "short");
    await userEvent.click(screen.getByRole("button", { name: "Sign up" }));
    expect(await screen.findByText("Too short.")).toBeInTheDocument();
    const password = screen.getByLabelText("Password");
    expect(password).toBeInvalid();
    expect(password).toHaveAccessibleDescription(/Too short\./);
  });

  it("logs in and goes on to where one came from", async () => {
    visit("/sign-up?next=%2Fevents%2F7", {
      "POST /users": { user: ADA, csrf: "t" }, "GET /events/7": SUMMIT, "GET /schedule": list(), "GET /tickets": list(), "GET /attendee": { attendee: null },
    });
    await userEvent.type(await screen.findByLabelText("Your name"), "Ada");
    await userEvent.type(screen.getByLabelText("E-mail"), "ada@example.org");
    await userEvent.type(screen.getByLabelText("Password"), "a long password");
    await userEvent.click(screen.getByRole("button", { name: "Sign up" }));
    expect(await screen.findByRole("heading", { level: 1, name: "Summit" })).toBeInTheDocument();
    expect(screen.getByRole("button", { name: "Log out Ada" })).toBeInTheDocument();
  });
});

it.each([["//elsewhere.example", "/tickets"], ["https://elsewhere.example", "/tickets"], ["/\\elsewhere.example", "/tickets"], ["/events/7", "/events/7"]])(
  "after logging in %s leads to %s", (next, page) => expect(nextPage(new URLSearchParams({ next }))).toBe(page));

describe("registering for an event", () => {
  const answers = { "GET /events/7": SUMMIT, "GET /schedule": list(), "GET /tickets": list(), "GET /attendee": { attendee: null } };

  it("asks strangers to log in first", async () => {
    visit("/events/7", answers);
    expect(await screen.findByText("To register you need an account.")).toBeInTheDocument();
  });

  it("sends the badge with the session's proof, and shows the ticket", async () => {
    const asked = visit("/events/7", { ...answers, ...as(ADA), "POST /events/7/tickets": TICKET });
    expect(await screen.findByLabelText("Name on the badge")).toHaveValue("Ada");
    await userEvent.click(screen.getByRole("button", { name: "Register" }));
    expect(await screen.findByText("ABCDEFGHJK")).toBeInTheDocument();
    const sent = asked.find((one) => one.method === "POST")!;
    expect(sent.body).toEqual({ badge_name: "Ada", organisation: "", needs: "" });
    expect(sent.headers["X-CSRF-Token"]).toBe("token-of-the-session");
  });

  it("tells who comes too late", async () => {
    visit("/events/7", { ...answers, ...as(ADA), "POST /events/7/tickets": refusal(409, "This event is fully booked.") });
    await userEvent.click(await screen.findByRole("button", { name: "Register" }));
    const alert = await screen.findByRole("alert");
    expect(alert).toHaveTextContent("This event is fully booked.");
    await waitFor(() => expect(alert).toHaveFocus());
  });

  it("offers no form for a full event", async () => {
    visit("/events/7", { ...answers, ...as(ADA), "GET /events/7": { ...SUMMIT, tickets_taken: 10 } });
    expect(await screen.findByText("Fully booked.")).toBeInTheDocument();
    expect(screen.queryByRole("button", { name: "Register" })).not.toBeInTheDocument();
  });
});

describe("administration", () => {
  it("is closed to attendees and sends strangers to log in", async () => {
    visit("/admin", as(ADA));
    expect(await screen.findByText("Only organisers may see this page.")).toBeInTheDocument();
  });

  it("edits a speaker", async () => {
    const overview = { "GET /speakers": list(GRACE), "GET /events": list(SUMMIT), "GET /messages": list() };
    const asked = visit("/admin/speakers/3", { ...as(OLGA), ...overview, "GET /speakers/3": { ...GRACE, presentations: [] }, "PUT /speakers/3": GRACE });
    const field = await screen.findByLabelText(/^Organisation/);
    await userEvent.clear(field);
    await userEvent.type(field, "Yale");
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    expect(await screen.findByText("Speaker saved: Grace Hopper")).toBeInTheDocument();
    const { id: _, ...fields } = GRACE;
    expect(asked.find((one) => one.method === "PUT")!.body).toEqual({ ...fields, organisation: "Yale" });
  });

  it("makes an event at a venue, with times in UTC", async () => {
    const asked = visit("/admin/events/new", { ...as(OLGA), "GET /venues": list(HALL), "GET /speakers": list(), "GET /events": list(), "GET /messages": list(), "POST /events": SUMMIT });
    await userEvent.type(await screen.findByLabelText("Title"), "Summit");
    await userEvent.type(screen.getByLabelText("Summary"), "A day");
    await userEvent.type(screen.getByLabelText("Begins (UTC)"), "2090-05-01T09:00");
    await userEvent.type(screen.getByLabelText("Ends (UTC)"), "2090-05-01T17:00");
    await userEvent.type(screen.getByLabelText("Tickets"), "10");
    await userEvent.click(screen.getByRole("button", { name: "Save" }));
    expect(await screen.findByText("Event saved: Summit")).toBeInTheDocument();
    expect(asked.find((one) => one.method === "POST")!.body).toMatchObject({ capacity: 10, venue_id: 1, starts_at: "2090-05-01T09:00:00Z" });
  });
});

it("thanks for a message", async () => {
  visit("/contact", { "POST /messages": { received: true } });
  await userEvent.type(await screen.findByLabelText("Your name"), "Ada");
  await userEvent.type(screen.getByLabelText("E-mail"), "ada@example.org");
  await userEvent.type(screen.getByLabelText("Message"), "Is there parking?");
  await userEvent.click(screen.getByRole("button", { name: "Send" }));
  expect(await screen.findByText(/your message has arrived/)).toBeInTheDocument();
});
