/** What stands around every page: skip link, header, main, footer. */
import { useEffect, useRef, useState, type ReactNode } from "react";
import { Link, NavLink, Outlet, useLocation, useNavigate } from "react-router";
import { useSession } from "./session";

const PAGES = [["/events", "Events"], ["/schedule", "Schedule"], ["/speakers", "Speakers"], ["/venues", "Venues"], ["/sponsors", "Sponsors"]];

export function Frame() {
  const main = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  const first = useRef(pathname);
  useEffect(() => {
    // After a change of page, reading goes on at its beginning; the first page is left to the browser.
    if (first.current === pathname) return;
    first.current = "";
    window.scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [pathname]);
  return (
    <>
      <a className="skip" href="#main">Skip to content</a>
      <Header key={pathname} />
      <main id="main" ref={main} tabIndex={-1}><Outlet /></main>
      <Footer />
    </>
  );
}

function Header() {
  const [open, setOpen] = useState(false);
  return (
    <header className="top">
      <div className="wrap">
        <Link to="/" className="brand"><img src="/icon.svg" alt="" width="32" height="32" />Bizza</Link>
        <button type="button" className="button quiet menu" aria-expanded={open} aria-controls="menu" onClick={() => setOpen(!open)}>Menu</button>
        <div id="menu" className={open ? "open" : undefined}>
          <nav aria-label="Main">
            <ul>{PAGES.map(([to, name]) => <li key={to}><NavLink to={to!}>{name}</NavLink></li>)}</ul>
          </nav>
          <AccountLinks />
        </div>
      </div>
    </header>
  );
}

function AccountLinks() {
  const { user, known, logOut } = useSession();
  const navigate = useNavigate();
  if (!known) return <div className="account" />;
  if (!user) {
    return (
      <div className="account">
        <Link to="/log-in">Log in</Link>
        <Link to="/sign-up" className="button small">Sign up</Link>
      </div>
    );
  }
  return (
    <div className="account">
      {user.role === "organiser" && <NavLink to="/admin">Admin</NavLink>}
      <NavLink to="/tickets">My tickets</NavLink>
      <button type="button" className="button quiet small" onClick={() => logOut().then(() => navigate("/"))}>
        Log out<span className="unseen"> {user.name}</span>
      </button>
    </div>
  );
}

function Footer() {
  return (
    <footer className="bottom">
      <div className="wrap">
        <p><strong>Bizza</strong> · companies and the software they stand on</p>
        <nav aria-label="More">
          <ul><li><Link to="/about">About</Link></li><li><Link to="/contact">Contact</Link></li><li><Link to="/sponsors">Sponsors</Link></li></ul>
        </nav>
      </div>
    </footer>
  );
}

/** A page's heading and the document's title. */
export function Page({ title, lead, narrow, children }: { title: string; lead?: ReactNode; narrow?: boolean; children?: ReactNode }) {
  useEffect(() => { document.title = title === "Bizza" ? title : `${title} · Bizza`; }, [title]);
  return (
    <div className={narrow ? "wrap narrow" : "wrap"}>
      <h1>{title}</h1>
      {lead && <p className="lead">{lead}</p>}
      {children}
    </div>
  );
}
