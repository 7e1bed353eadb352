import { Link } from "react-router";
import type { List, Sponsor } from "../api";
import { Page } from "../Frame";
import { Items, useResource } from "../loading";

const TIERS = [["gold", "Gold"], ["silver", "Silver"], ["bronze", "Bronze"]] as const;

export function Sponsors() {
  const sponsors = useResource<List<Sponsor>>("/sponsors");
  return (
    <Page title="Sponsors" lead="Tickets stay affordable because these companies pay for the rest.">
      <Items from={sponsors} empty="We are looking for sponsors.">
        {(items) => TIERS.map(([tier, name]) => <Tier key={tier} name={name} sponsors={items.filter((one) => one.tier === tier)} />)}
      </Items>
      <p className="notice">Would you like to be here? <Link to="/contact">Write to us.</Link></p>
    </Page>
  );
}

function Tier({ name, sponsors }: { name: string; sponsors: Sponsor[] }) {
  if (!sponsors.length) return null;
  return (
    <section>
      <h2>{name}</h2>
      <ul className="cards">
        {sponsors.map((one) => (
          <li key={one.id}>
            <article className={`card sponsor ${one.tier}`}>
              <h3>{one.website ? <a href={one.website} rel="noreferrer">{one.name}</a> : one.name}</h3>
              <p>{one.description}</p>
            </article>
          </li>
        ))}
      </ul>
    </section>
  );
}
