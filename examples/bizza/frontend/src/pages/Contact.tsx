import { useState } from "react";
import { call } from "../api";
import { Form } from "../forms";
import { Page } from "../Frame";
import { useSession } from "../session";

export function Contact() {
  const [sent, setSent] = useState(false);
  const { user, known } = useSession();
  return (
    <Page title="Contact" lead="Questions, access needs, proposals for talks: we read everything." narrow>
      {sent && (
        <div className="notice good" role="status">
          <p><strong>Thank you, your message has arrived.</strong></p>
          <button type="button" className="button quiet" onClick={() => setSent(false)}>Write another</button>
        </div>
      )}
      {!sent && known && (
        <Form submit="Send" initial={user ? { name: user.name, email: user.email } : {}}
          send={async (values) => { await call("POST", "/messages", values); setSent(true); }}
          fields={[
            { name: "name", label: "Your name", required: true, autoComplete: "name" },
            { name: "email", label: "E-mail", type: "email", required: true, autoComplete: "email", hint: "Only for our answer." },
            { name: "text", label: "Message", type: "area", required: true },
          ]} />
      )}
    </Page>
  );
}
