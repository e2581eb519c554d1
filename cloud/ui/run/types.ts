// What the server tells and what is kept on the phone.
export type Text = { zh: string; en: string };
export type Stop = { site: string; arrive?: string; depart?: string };
export type Run = { id: string; day: string; name?: string; vehicle?: string; cancelled?: boolean; stops: Stop[]; version: number };
export type Site = { id: string; kind: string; name: Text };
export type Vehicle = { id: string; plate: string; name: Text };
export type Cell = { cell: number; size: string; state: string; waybill?: string };
export type Locker = { id: string; name: Text; site: string; online: boolean; cells: Cell[] };
export type Container = { id: string; kind: string; code?: string };
export type Kit = { county: Text; day: string; time: string; runs: Run[]; sites: Site[]; vehicles: Vehicle[]; lockers: Locker[]; containers: Container[] };

export type Cargo = {
  waybill: string; site?: string; locker?: string; direction?: string; handling?: string; size?: string; consent?: string; hold?: boolean; stage: string; place?: string; plan?: string; to?: { village?: string; name?: string; phone?: string };
};
export type Manifest = { run: Run; at: string; items: Cargo[]; cut?: boolean };

export type Kind = "sign_on" | "sign_off" | "load" | "unload" | "pack" | "unpack" | "deposit" | "to_door" | "hand_over" | "refuse" | "count";

/** An act as the server takes it. */
export type Act = {
  id: string; kind: Kind; actor: string; at: string; of?: string; site?: string; run?: string; day?: string; vehicle?: string;
  container?: string; locker?: string; cell?: number; n?: number; expected?: number; reason?: string; photo?: string;
};

/** An act as the phone keeps it. */
export type Kept = Act & { state: "queued" | "done" | "refused"; why?: string; seq: number };

/** Who works here, and on what. */
export type Me = { badge: string; run?: string; day: string; site?: string };
