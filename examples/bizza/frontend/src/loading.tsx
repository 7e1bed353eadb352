/** Loading something and showing each of its states: on its way, failed, empty, there. */
import { useCallback, useEffect, useState, type ReactNode } from "react";
import { ApiError, read, type List } from "./api";

type State<T> = { data?: T; error?: ApiError };
export type Resource<T> = State<T> & { reload: () => void };

/** The content of an address under /api; what it showed before stays while a new address is on its way. */
export function useResource<T>(path: string): Resource<T> {
  const [state, setState] = useState<State<T>>({});
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    read<T>(path, abort.signal).then(
      (data) => setState({ data }),
      (error) => {
        if (!abort.signal.aborted) setState({ error: error instanceof ApiError ? error : new ApiError(0, String(error)) });
      },
    );
    return () => abort.abort();
    // oxlint-disable-next-line react/exhaustive-effect-dependencies -- a new turn asks again
  }, [path, turn]);
  const reload = useCallback(() => setTurn((before) => before + 1), []);
  return { ...state, reload };
}

export function Loaded<T>({ from, children }: { from: Resource<T>; children: (data: T) => ReactNode }) {
  if (from.error) {
    return (
      <div className="notice bad" role="alert">
        <p>{from.error.message}</p>
        {from.error.status !== 404 && <button type="button" className="button quiet" onClick={from.reload}>Try again</button>}
      </div>
    );
  }
  if (from.data === undefined) {
    return (
      <div role="status" className="skeleton">
        <span className="unseen">Loading…</span>
        <div aria-hidden="true" /><div aria-hidden="true" /><div aria-hidden="true" />
      </div>
    );
  }
  return <>{children(from.data)}</>;
}

/** A list in a Loaded, with a sentence for when there is nothing in it. */
export function Items<T>({ from, empty, children }: { from: Resource<List<T>>; empty: string; children: (items: T[]) => ReactNode }) {
  return (
    <Loaded from={from}>
      {({ items }) => (items.length ? children(items) : <p className="notice">{empty}</p>)}
    </Loaded>
  );
}
