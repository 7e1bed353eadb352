import { Link, Navigate, useSearchParams } from "react-router";
import { Form } from "../forms";
import { Page } from "../Frame";
import { useSession } from "../session";

/** Where to go after logging in: only to pages of this site. */
export function nextPage(params: URLSearchParams): string {
  const next = params.get("next") ?? "/tickets";
  return /^\/(?![/\\])/.test(next) ? next : "/tickets";
}

export function SignUp() {
  const { user, signUp } = useSession();
  const [params] = useSearchParams();
  if (user) return <Navigate to={nextPage(params)} replace />;
  return (
    <Page title="Sign up" lead="One account for all events." narrow>
      <Form submit="Sign up" send={(values) => signUp(values.name!, values.email!, values.password!)}
        fields={[
          { name: "name", label: "Your name", required: true, autoComplete: "name" },
          { name: "email", label: "E-mail", type: "email", required: true, autoComplete: "email" },
          { name: "password", label: "Password", type: "password", required: true, autoComplete: "new-password", hint: "At least ten characters. A few words are fine." },
        ]} />
      <p className="muted">Have you an account? <Link to={`/log-in?${params}`}>Log in</Link></p>
    </Page>
  );
}

export function LogIn() {
  const { user, logIn } = useSession();
  const [params] = useSearchParams();
  if (user) return <Navigate to={nextPage(params)} replace />;
  return (
    <Page title="Log in" narrow>
      <Form submit="Log in" send={(values) => logIn(values.email!, values.password!)}
        fields={[
          { name: "email", label: "E-mail", type: "email", required: true, autoComplete: "username" },
          { name: "password", label: "Password", type: "password", required: true, autoComplete: "current-password" },
        ]} />
      <p className="muted">New here? <Link to={`/sign-up?${params}`}>Sign up</Link></p>
    </Page>
  );
}
