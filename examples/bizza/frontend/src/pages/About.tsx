import { Link } from "react-router";
import { Page } from "../Frame";

export function About() {
  return (
    <Page title="About Bizza" lead="A conference for people who build companies, and for people who build what companies run on." narrow>
      <div className="prose">
        <p>Most conferences are for one or the other. We think that both sit in the same boat, and should have lunch together.</p>
        <h2>How we do it</h2>
        <ul>
          <li>Talks are short, breaks are long, and every talk has time for questions.</li>
          <li>Speakers are paid, and so are those who carry the chairs.</li>
          <li>Talks are captioned, rooms are step-free or say where they are not, and there is a quiet room.</li>
        </ul>
        <h2>How we treat each other</h2>
        <p>With respect. Harassment of any kind ends a ticket, without a refund. If something happens, speak to anybody with a green badge, or <Link to="/contact">write to us</Link>.</p>
      </div>
    </Page>
  );
}

export function NotFound() {
  return (
    <Page title="Page not found" lead="There is no such page any more, or there never was." narrow>
      <p><Link className="button" to="/">To the beginning</Link></p>
    </Page>
  );
}
