// The keyboard: everything that a mouse can choose.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t, type Key } from "./i18n";
import { shownIDs, tabs } from "./list";
import { findParcels, picked, query, select, show, tab, view } from "./store";

export const helpOpen = signal(false);

const rows: [string, Key][] = [["/", "k_search"], ["J  K", "k_move"], ["Enter", "k_open"], ["Esc", "k_close"], ["1 – 4", "k_tabs"], ["F", "k_fit"], ["?", "k_help"]];

export function Help() {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => { if (helpOpen.value) box.current?.showModal(); else box.current?.close(); }, [helpOpen.value]);
  return (
    <dialog class="help" ref={box} aria-label={t("help")} onClose={() => { helpOpen.value = false; }} onClick={(e) => { if (e.target === box.current) box.current?.close(); }}>
      <h2>{t("help")}</h2>
      <dl>{rows.map(([k, w]) => <div key={k}><dt>{k.split(/ {2}/).map((x) => <kbd key={x}>{x}</kbd>)}</dt><dd>{t(w)}</dd></div>)}</dl>
      <button class="primary" onClick={() => box.current?.close()}>{t("close")}</button>
    </dialog>
  );
}

function move(by: number) {
  const ids = shownIDs();
  if (ids.length === 0) return;
  const at = picked.value?.kind === tab.value ? ids.indexOf(picked.value.id) : -1;
  const to = at < 0 ? (by > 0 ? 0 : ids.length - 1) : Math.min(ids.length - 1, Math.max(0, at + by));
  select({ kind: tab.value, id: ids[to]! });
}

/** From the search to what it found: Enter waits for the answer and opens the first. */
async function toResults(search: HTMLInputElement, open: boolean) {
  if (open && tab.value === "parcel") await findParcels().catch(() => {});
  search.blur();
  document.getElementById("rows")?.focus();
  const first = shownIDs()[0];
  if (first) select({ kind: tab.value, id: first });
}

export function bindKeys() {
  document.addEventListener("keydown", (e) => {
    const search = document.getElementById("search") as HTMLInputElement | null;
    const typing = e.target instanceof HTMLInputElement || e.target instanceof HTMLSelectElement;
    if (!search || e.ctrlKey || e.metaKey || e.altKey || helpOpen.value) return;
    if (e.key === "Escape") {
      if (typing) {
        if (e.target === search && query.value) { query.value = ""; void findParcels().catch(() => {}); }
        (e.target as HTMLElement).blur();
      } else if (picked.value) select(null);
      else if (view.value) show("");
      return;
    }
    if (typing) {
      if (e.target === search && (e.key === "Enter" || e.key === "ArrowDown")) { e.preventDefault(); void toResults(search, e.key === "Enter"); }
      return;
    }
    const onList = (e.target as HTMLElement).id === "rows";
    switch (e.key) {
      case "/": search.focus(); search.select(); break;
      case "j": case "J": move(1); break;
      case "k": case "K": move(-1); break;
      case "ArrowDown": if (!onList) return; move(1); break;
      case "ArrowUp": if (!onList) return; move(-1); break;
      case "Enter": if (!onList) return; document.querySelector<HTMLElement>(".detail .close")?.focus(); break;
      case "f": case "F": document.getElementById("fit")?.click(); break;
      case "?": helpOpen.value = true; break;
      case "1": case "2": case "3": case "4": tab.value = tabs[Number(e.key) - 1]!.kind; break;
      default: return;
    }
    e.preventDefault();
  });
}
