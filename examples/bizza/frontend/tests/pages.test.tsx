import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";
import { GRACE, SUMMIT, list, refusal, visit } from "./site";

describe("every list", () => {
  it("says that it is loading, then shows what there is", async () => {
    visit("/speakers", { "GET /speakers": list(GRACE) });
    expect(screen.getByText("Loading…")).toBeInTheDocument();
    expect(await screen.findByRole("link", { name: "Grace Hopper" })).toHaveAttribute("href", "/speakers/3");
    expect(screen.getByText("1 speaker")).toBeInTheDocument();
  });

  it.each([
    ["/speakers", "GET /speakers", /announced soon/],
    ["/events", "GET /events", /No event is planned/],
    ["/schedule", "GET /schedule", /schedule will follow/],
    ["/venues", "GET /venues", /announced soon/],
    ["/sponsors", "GET /sponsors", /looking for sponsors/],
  ])("%s says so when it is empty", async (path, key, sentence) => {
    visit(path, { [key]: list() });
    expect(await screen.findByText(sentence)).toBeInTheDocument();
  });

  it("tells an error, and tries again", async () => {
    let healthy = false;
    visit("/speakers", {
      "GET /speakers": () => (healthy ? { body: list(GRACE) } : refusal(503, "The site is being looked after.")()),
    });
    expect(await screen.findByRole("alert")).toHaveTextContent("The site is being looked after.");
    healthy = true;
    await userEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(await screen.findByText("Grace Hopper")).toBeInTheDocument();
  });
});

it("searches speakers while one types, and keeps the words in the address", async () => {
  const asked = visit("/speakers?q=gr", { "GET /speakers": list(GRACE), "GET /speakers?limit=200&q=grace%20h": list() });
  const box = await screen.findByRole("searchbox", { name: /Search by name/ });
  expect(box).toHaveValue("gr");
  await userEvent.type(box, "ace h");
  expect(await screen.findByText("Nobody was found for “grace h”.")).toBeInTheDocument();
  expect(asked.at(-1)!.path).toBe("/api/speakers?limit=200&q=grace%20h");
});

it("shows a speaker with what they present", async () => {
  visit("/speakers/3", { "GET /speakers/3": { ...GRACE, presentations: [{ id: 1, title: "Compilers", kind: "talk", abstract: "", event: SUMMIT, speakers: [] }] } });
  expect(await screen.findByRole("heading", { level: 1, name: "Grace Hopper" })).toBeInTheDocument();
  expect(screen.getByText("Compilers")).toBeInTheDocument();
  await waitFor(() => expect(document.title).toBe("Grace Hopper · Bizza"));
});

it("says when a speaker is not there", async () => {
  visit("/speakers/99");
  expect(await screen.findByRole("alert")).toHaveTextContent("There is no such page.");
});

it("shows the schedule of one event at a time", async () => {
  const entry = (id: number, event: object, title: string) => ({ id, event, presentation: null, title, room: "Hall", starts_at: SUMMIT.starts_at, ends_at: SUMMIT.ends_at });
  visit("/schedule", { "GET /schedule": list(entry(1, SUMMIT, "Lunch"), entry(2, { ...SUMMIT, id: 8, title: "Evening" }, "Dinner")) });
  expect(await screen.findByText("Lunch")).toBeInTheDocument();
  const choice = within(screen.getByRole("group", { name: "Show" }));
  await userEvent.click(choice.getByRole("button", { name: "Evening" }));
  expect(screen.queryByText("Lunch")).not.toBeInTheDocument();
  expect(choice.getByRole("button", { name: "Evening" })).toHaveAttribute("aria-pressed", "true");
});

describe("the frame", () => {
  it("has its landmarks and a way past the navigation", async () => {
    visit("/about");
    for (const role of ["banner", "main", "contentinfo"]) expect(screen.getByRole(role)).toBeInTheDocument();
    expect(screen.getByRole("navigation", { name: "Main" })).toBeInTheDocument();
    expect(screen.getByRole("link", { name: "Skip to content" })).toHaveAttribute("href", "#main");
    expect(await screen.findByRole("link", { name: "Log in" })).toBeInTheDocument();
  });

  it("moves focus to the new page and marks where one is", async () => {
    visit("/about", { "GET /venues": list() });
    const main = screen.getByRole("navigation", { name: "Main" });
    await userEvent.click(within(main).getByRole("link", { name: "Venues" }));
    await waitFor(() => expect(screen.getByRole("main")).toHaveFocus());
    expect(within(screen.getByRole("navigation", { name: "Main" })).getByRole("link", { name: "Venues" })).toHaveAttribute("aria-current", "page");
  });

  it("has a page for addresses that do not exist", () => {
    visit("/nowhere");
    expect(screen.getByRole("heading", { level: 1, name: "Page not found" })).toBeInTheDocument();
  });
});
