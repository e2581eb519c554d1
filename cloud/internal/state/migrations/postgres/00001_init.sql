-- Times are Unix milliseconds, 0 when unknown; documents are JSON.

-- +goose Up
create table registry (                 -- what stands where, as the county folder says
  kind text collate "C" not null, id text collate "C" not null, doc text collate "C" not null,
  primary key (kind, id));
create table bindings (                 -- which thing a device belongs to, from since_ms on; '' is none
  device text collate "C" not null, since_ms bigint not null, thing text collate "C" not null,
  primary key (device, since_ms));

create table gateways (
  id text collate "C" primary key, version bigint not null, received_ms bigint not null, software text collate "C" not null,
  boot text collate "C" not null, mono_ns bigint not null, mono_ms bigint not null,
  epochs bigint not null, committed bigint not null, backlog bigint not null, lanes text collate "C" not null);
create table ranges (                   -- the ledger: which seqs are committed; id is gateway/epoch/lane
  id text collate "C" primary key, gateway text collate "C" not null, epoch text collate "C" not null, lane bigint not null,
  spans text collate "C" not null, records bigint not null, readings bigint not null, tip bigint not null, tip_hash bytea not null);
create index ranges_gateway on ranges (gateway);
create table openings (                 -- the first record of each epoch in each lane
  gateway text collate "C" not null, epoch text collate "C" not null, lane bigint not null, doc text collate "C" not null, received_ms bigint not null,
  primary key (gateway, epoch, lane));
create table tombstones (               -- records that gateways dropped by policy
  gateway text collate "C" not null, epoch text collate "C" not null, lane bigint not null, seq bigint not null,
  of_epoch text collate "C" not null, ranges text collate "C" not null, dropped bigint not null, reason text collate "C" not null, received_ms bigint not null,
  primary key (gateway, epoch, lane, seq));
create table frames (                   -- the archive, by day of receipt; no counts up in commit order without gaps
  no bigint not null, day bigint not null, gateway text collate "C" not null, epoch text collate "C" not null, lane bigint not null,
  first bigint not null, last bigint not null, received_ms bigint not null, committed_ms bigint not null, fresh bigint not null, body bytea not null,
  primary key (day, no)) partition by range (day);
alter table frames alter column body set storage external;
create index frames_no on frames (no);
create index frames_seq on frames (gateway, epoch, lane, first);
create table counters (name text collate "C" primary key, value bigint not null);
insert into counters (name, value) values ('frames', 0);
create table quarantine (               -- refused input, once each; told counts how often it came
  id text collate "C" primary key, gateway text collate "C" not null, source text collate "C" not null, reason text collate "C" not null,
  told bigint not null, first_ms bigint not null, last_ms bigint not null, raw bytea not null);
create index quarantine_last on quarantine (last_ms);
create index quarantine_gateway on quarantine (gateway);
create table alarms (
  id text collate "C" primary key, at_ms bigint not null, gateway text collate "C" not null, device text collate "C" not null,
  code text collate "C" not null, severity text collate "C" not null, detail text collate "C" not null);
create index alarms_at on alarms (at_ms);
create table outbox (                   -- what others have to be told, in commit order
  id bigint generated always as identity primary key, kind text collate "C" not null, key text collate "C" not null, doc text collate "C" not null, created_ms bigint not null);

create table latest (                   -- the latest reading of each device and kind
  device text collate "C" not null, kind text collate "C" not null, at_ms bigint not null, tq text collate "C" not null, received_ms bigint not null, body text collate "C" not null,
  primary key (device, kind));
create table vehicles (
  id text collate "C" primary key, version bigint not null, at_ms bigint not null, tq text collate "C" not null, position text collate "C" not null,
  stay_site text collate "C" not null, stay_from bigint not null, stay_to bigint not null);
create table stays (                    -- closed stays in or outside of fences; the open one is in vehicles
  vehicle text collate "C" not null, from_ms bigint not null, to_ms bigint not null, site text collate "C" not null,
  primary key (vehicle, from_ms));
create table cold_boxes (
  id text collate "C" primary key, version bigint not null, at_ms bigint not null, tq text collate "C" not null, climate text collate "C" not null, out_ms bigint not null, is_out bigint not null);
create table lockers (id text collate "C" primary key, version bigint not null);
create table cells (
  locker text collate "C" not null, cell bigint not null, state text collate "C" not null, since_ms bigint not null, waybill text collate "C" not null,
  primary key (locker, cell));

create table containers (id text collate "C" primary key, kind text collate "C" not null, epc text collate "C" not null);
create index containers_epc on containers (epc);
create table contents (                 -- what was in what, over time; until_ms 0 is still
  container text collate "C" not null, item text collate "C" not null, since_ms bigint not null, until_ms bigint not null,
  primary key (container, item, since_ms));
create index contents_item on contents (item);
create table parcels (
  waybill text collate "C" primary key, epc text collate "C" not null, site text collate "C" not null, locker text collate "C" not null, handling text collate "C" not null, created_ms bigint not null,
  stage text collate "C" not null, since_ms bigint not null, place text collate "C" not null, cell bigint not null, inferred bigint not null,
  version bigint not null, changed_ms bigint not null, waybill_rev text collate "C" not null, epc_rev text collate "C" not null);
create index parcels_epc on parcels (epc);
create index parcels_waybill on parcels (waybill);
create index parcels_waybill_rev on parcels (waybill_rev);
create index parcels_epc_rev on parcels (epc_rev);
create index parcels_changed on parcels (changed_ms desc, waybill desc);
create index parcels_place on parcels (place);
create table evidence (                 -- append-only; a reading told twice is one row
  id text collate "C" primary key, subject text collate "C" not null, kind text collate "C" not null, step text collate "C" not null, thing text collate "C" not null, device text collate "C" not null,
  at_ms bigint not null, tq text collate "C" not null, gateway text collate "C" not null, epoch text collate "C" not null, lane bigint not null, seq bigint not null, body text collate "C" not null);
create index evidence_subject on evidence (subject, at_ms);
create index evidence_thing on evidence (thing, at_ms);
create index evidence_gateway on evidence (gateway, at_ms) where kind in ('scan', 'locker');
create table commands (
  id text collate "C" primary key, created_ms bigint not null, doc text collate "C" not null,
  outcome text collate "C" not null, detail text collate "C" not null, answered_ms bigint not null);
create index commands_created on commands (created_ms);
create table points (                   -- history, where no InfluxDB is set
  series text collate "C" not null, at_ns bigint not null, body text collate "C" not null,
  primary key (series, at_ns));

-- +goose Down
drop table points, commands, evidence, parcels, contents, containers, cells, lockers, cold_boxes, stays, vehicles, latest, outbox,
  alarms, quarantine, counters, frames, tombstones, openings, ranges, gateways, bindings, registry;
