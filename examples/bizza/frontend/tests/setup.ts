import "@testing-library/jest-dom/vitest";
import { afterEach, beforeEach, vi } from "vitest";
import { cleanup, configure } from "@testing-library/react";

// Busy machines take their time; nothing waits longer than it must.
configure({ asyncUtilTimeout: 15_000 });

beforeEach(() => { window.scrollTo = vi.fn(); });
afterEach(() => { cleanup(); vi.unstubAllGlobals(); });
