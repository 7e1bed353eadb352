import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  // `npm run dev` beside a back end on this machine.
  server: { proxy: { "/api": "http://127.0.0.1:5001" } },
  test: { environment: "jsdom", globals: true, setupFiles: "tests/setup.ts", testTimeout: 30_000 },
});
