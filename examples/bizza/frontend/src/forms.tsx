/** Forms whose fields have labels, whose errors stand beside their fields, and which take focus to what is wrong. */
import { useEffect, useId, useRef, useState, type FormEvent, type ReactNode } from "react";
import { ApiError } from "./api";

export type Values = Record<string, string>;
export type Choice = { value: string; label: string };
export type FieldSpec = {
  name: string; label: string; type?: "text" | "email" | "password" | "number" | "datetime-local" | "url" | "area" | "choice";
  hint?: string; required?: boolean; autoComplete?: string; minLength?: number; choices?: Choice[];
};

function Control({ spec, id, described, error, value, onChange }: {
  spec: FieldSpec; id: string; described?: string; error?: string; value: string; onChange: (value: string) => void;
}) {
  const shared = {
    id, name: spec.name, value, required: spec.required, autoComplete: spec.autoComplete,
    "aria-invalid": error ? true : undefined, "aria-describedby": described,
    onChange: (change: { target: { value: string } }) => onChange(change.target.value),
  };
  if (spec.type === "area") return <textarea rows={5} {...shared} />;
  if (spec.type !== "choice") return <input type={spec.type ?? "text"} min={spec.type === "number" ? 1 : undefined} {...shared} />;
  return (
    <select {...shared}>
      {spec.choices?.map((choice) => <option key={choice.value} value={choice.value}>{choice.label}</option>)}
    </select>
  );
}

function Field(props: { spec: FieldSpec; error?: string; value: string; onChange: (value: string) => void }) {
  const id = useId();
  const { spec, error } = props;
  const described = [spec.hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  return (
    <div className="field">
      <label htmlFor={id}>{spec.label}{!spec.required && <span className="optional"> (optional)</span>}</label>
      {spec.hint && <p className="hint" id={`${id}-hint`}>{spec.hint}</p>}
      <Control {...props} id={id} described={described} />
      {error && <p className="wrong" id={`${id}-error`}>{error}</p>}
    </div>
  );
}

/** `send` does the work and throws ApiError; what it refuses is shown field by field. */
export function Form({ fields, initial = {}, submit, send, children }: {
  fields: FieldSpec[]; initial?: Values; submit: string; send: (values: Values) => Promise<void>; children?: ReactNode;
}) {
  const [values, setValues] = useState<Values>(() => Object.fromEntries(fields.map((f) => [f.name, initial[f.name] ?? f.choices?.[0]?.value ?? ""])));
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (error) form.current?.querySelector<HTMLElement>("[aria-invalid], [role=alert]")?.focus();
  }, [error]);

  async function onSubmit(event: FormEvent) {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      await send(values);
    } catch (refused) {
      setError(refused instanceof ApiError ? refused : new ApiError(0, "Something went wrong. Please try again."));
    } finally {
      setBusy(false);
    }
  }

  return (
    <form ref={form} onSubmit={onSubmit} className="form">
      {error && <p className="notice bad" role="alert" tabIndex={-1}>{error.message} {error.fields.body}</p>}
      {fields.map((spec) => (
        <Field key={spec.name} spec={spec} error={error?.fields[spec.name]} value={values[spec.name] ?? ""}
          onChange={(value) => setValues((before) => ({ ...before, [spec.name]: value }))} />
      ))}
      <div className="actions">
        <button className="button" aria-disabled={busy}>{busy ? "One moment…" : submit}</button>
        {children}
      </div>
    </form>
  );
}
