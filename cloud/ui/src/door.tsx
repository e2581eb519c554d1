// What became of an order to open a cell: the three outcomes, and below them what its door was seen to do, step by step.
import { now } from "./clock";
import { clockTime, t, word, type Key } from "./i18n";
import { zone } from "./store";
import type { Command, DoorStep } from "./types";

const details: Record<string, Key> = {
  unreachable: "unreachable", stale: "stale_cmd", no_result: "no_result", jammed: "jammed", no_reply: "no_reply", opened: "opened", already_open: "already_open",
  interrupted: "interrupted", not_opened: "ds_not_opened_short", offline: "lockerOffline",
};
const bad = new Set(["wrong_door", "not_opened", "jammed", "forced"]);

/** Accepted, sent, and what came of it: three different things; then the door. */
export function Order({ c }: { c: Command }) {
  const outcome = c.outcome === "done" ? t("done") : c.outcome === "refused" ? t("refused") : c.outcome === "unknown" ? t("outcomeUnknown") : t("waiting");
  const detail = (c.detail ?? "").split(/[ :]/)[0] ?? "";
  const steps: [string, string | undefined, string][] = [
    [t("step1"), c.created, "ok"],
    [t("step2"), c.sent, c.sent ? "ok" : c.outcome ? "bad" : "wait"],
    [outcome, c.answered, c.outcome === "done" ? "ok" : c.outcome ? "bad" : "wait"],
  ];
  return (
    <>
      <ol class="steps">
        {steps.map(([label, at, state], i) => (
          <li key={i} class={state}><b>{label}</b>{at && <small>{clockTime(at, now.value, zone.value)}</small>}{i === 2 && detail && c.outcome !== "done" && <small>{details[detail] ? t(details[detail]!) : word("", detail)}</small>}</li>
        ))}
      </ol>
      {(c.door || waits(c)) && (
        <>
          <h4 class="doorhead">{t("doorTruth")}<small class="soft">{t("doorHelp")}</small></h4>
          <ol class="door">
            {c.door?.map((d, i) => <Step key={i} d={d} began={c.created} own={Number(c.args?.cell)} />)}
            {waits(c) && <li class="wait"><b>{t("doorWaits")}</b></li>}
          </ol>
        </>
      )}
    </>
  );
}

const patience = 120_000; // for a first word of the door: what comes later comes late, and is shown then

/** Something may come yet: the door hasn't ended its story. */
function waits(c: Command): boolean {
  if (!c.sent || c.outcome === "refused" || c.door?.some((d) => ["closed", "deposited", "emptied", "not_opened"].includes(d.step))) return false;
  return now.value - Date.parse(c.created) < patience || !!c.door?.some((d) => d.step === "opened" || d.step === "forced");
}

function Step({ d, began, own }: { d: DoorStep; began: string; own: number }) {
  const after = (Date.parse(d.at) - Date.parse(began)) / 1000;
  return (
    <li class={bad.has(d.step) ? "bad" : "ok"}>
      <b>{word("ds_", d.step, { n: d.cell, s: d.waited_s ?? 0 })}</b>
      {d.cell !== own && d.step !== "wrong_door" && <small>{t("cell", { n: d.cell })}</small>}
      <small class="when">
        <time dateTime={d.at}>{clockTime(d.at, now.value, zone.value)}</time>
        {after >= 0 && after < 3600 && <span>+{after < 10 ? after.toFixed(1) : Math.round(after)} s</span>}
        <span class={"tq " + d.tq} title={word("tq_", d.tq)}>{word("tq_", d.tq)}{d.te_ms ? ` ±${d.te_ms < 1000 ? d.te_ms + " ms" : Math.round(d.te_ms / 1000) + " s"}` : ""}</span>
      </small>
    </li>
  );
}
