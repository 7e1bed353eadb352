/** Who is logged in, for every page. */
import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { session, type User } from "./api";

type Account = {
  user: User | null;
  /** False until the back end has said who it is. */
  known: boolean;
  logIn: (email: string, password: string) => Promise<void>;
  signUp: (name: string, email: string, password: string) => Promise<void>;
  logOut: () => Promise<void>;
};

const Context = createContext<Account | null>(null);

export function SessionProvider({ children }: { children: ReactNode }) {
  const [user, setUser] = useState<User | null>(null);
  const [known, setKnown] = useState(false);
  useEffect(() => {
    session("GET").then(setUser, () => setUser(null)).finally(() => setKnown(true));
  }, []);
  const logIn = useCallback(
    async (email: string, password: string) => setUser(await session("POST", { email, password })), []);
  const signUp = useCallback(
    async (name: string, email: string, password: string) =>
      setUser(await session("POST", { name, email, password }, "/users")), []);
  const logOut = useCallback(async () => setUser(await session("DELETE")), []);
  const account = useMemo(() => ({ user, known, logIn, signUp, logOut }), [user, known, logIn, signUp, logOut]);
  return <Context.Provider value={account}>{children}</Context.Provider>;
}

export function useSession(): Account {
  const account = useContext(Context);
  if (!account) throw new Error("useSession needs a SessionProvider around it");
  return account;
}
