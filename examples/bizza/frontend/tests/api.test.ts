import { expect, it, vi } from "vitest";
import { call, read } from "../src/api";

const dropped = () => Promise.reject(new TypeError("Failed to fetch"));

it("reads again when the network dropped a request", async () => {
  const fetch = vi.fn().mockImplementationOnce(dropped).mockResolvedValueOnce(new Response('{"items": []}'));
  vi.stubGlobal("fetch", fetch);
  expect(await read("/speakers")).toEqual({ items: [] });
});

it("says that the site cannot be reached, and never writes twice", async () => {
  const fetch = vi.fn(dropped);
  vi.stubGlobal("fetch", fetch);
  await expect(read("/speakers")).rejects.toThrow("cannot be reached");
  expect(fetch).toHaveBeenCalledTimes(2);
  await expect(call("POST", "/messages", {})).rejects.toThrow("cannot be reached");
  expect(fetch).toHaveBeenCalledTimes(3);
});
