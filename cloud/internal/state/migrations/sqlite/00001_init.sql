-- Times are Unix milliseconds, 0 when unknown; documents are JSON.

-- +goose Up
create table registry (                 -- what stands where, as the county folder says
  kind text not null, id text not null, doc text not null,
  primary key (kind, id));
create table bindings (                 -- which thing a device belongs to, from since_ms on; '' is none
  device text not null, since_ms integer not null, thing text not null,
  primary key (device, since_ms));

create table gateways (
  id text primary key, version integer not null, received_ms integer not null, software text not null,
  boot text not null, mono_ns integer not null, mono_ms integer not null,
  epochs integer not null, committed integer not null, backlog integer not null, lanes text not null);
create table ranges (                   -- the ledger: which seqs are committed; id is gateway/epoch/lane
  id text primary key, gateway text not null, epoch text not null, lane integer not null,
  spans text not null, records integer not null, readings integer not null, tip integer not null, tip_hash blob not null);
create index ranges_gateway on ranges (gateway);
create table openings (                 -- the first record of each epoch in each lane
  gateway text not null, epoch text not null, lane integer not null, doc text not null, received_ms integer not null,
  primary key (gateway, epoch, lane));
create table tombstones (               -- records that gateways dropped by policy
  gateway text not null, epoch text not null, lane integer not null, seq integer not null,
  of_epoch text not null, ranges text not null, dropped integer not null, reason text not null, received_ms integer not null,
  primary key (gateway, epoch, lane, seq));
create table frames (                   -- the archive, no counts up in commit order without gaps
  no integer not null, day integer not null, gateway text not null, epoch text not null, lane integer not null,
  first integer not null, last integer not null, received_ms integer not null, committed_ms integer not null, fresh integer not null, body blob not null,
  primary key (no));
create index frames_day on frames (day);
create index frames_seq on frames (gateway, epoch, lane, first);
create table counters (name text primary key, value integer not null);
insert into counters (name, value) values ('frames', 0);
create table quarantine (               -- refused input, once each; told counts how often it came
  id text primary key, gateway text not null, source text not null, reason text not null,
  told integer not null, first_ms integer not null, last_ms integer not null, raw blob not null);
create index quarantine_last on quarantine (last_ms);
create index quarantine_gateway on quarantine (gateway);
create table alarms (
  id text primary key, at_ms integer not null, gateway text not null, device text not null,
  code text not null, severity text not null, detail text not null);
create index alarms_at on alarms (at_ms);
create table outbox (                   -- what others have to be told, in commit order
  id integer primary key autoincrement, kind text not null, key text not null, doc text not null, created_ms integer not null);

create table latest (                   -- the latest reading of each device and kind
  device text not null, kind text not null, at_ms integer not null, tq text not null, received_ms integer not null, body text not null,
  primary key (device, kind));
create table vehicles (
  id text primary key, version integer not null, at_ms integer not null, tq text not null, position text not null,
  stay_site text not null, stay_from integer not null, stay_to integer not null);
create table stays (                    -- closed stays in or outside of fences; the open one is in vehicles
  vehicle text not null, from_ms integer not null, to_ms integer not null, site text not null,
  primary key (vehicle, from_ms));
create table cold_boxes (
  id text primary key, version integer not null, at_ms integer not null, tq text not null, climate text not null, out_ms integer not null, is_out integer not null);
create table lockers (id text primary key, version integer not null);
create table cells (
  locker text not null, cell integer not null, state text not null, since_ms integer not null, waybill text not null,
  primary key (locker, cell));

create table containers (id text primary key, kind text not null, epc text not null);
create index containers_epc on containers (epc);
create table contents (                 -- what was in what, over time; until_ms 0 is still
  container text not null, item text not null, since_ms integer not null, until_ms integer not null,
  primary key (container, item, since_ms));
create index contents_item on contents (item);
create table parcels (
  waybill text primary key, epc text not null, site text not null, locker text not null, handling text not null, created_ms integer not null,
  stage text not null, since_ms integer not null, place text not null, cell integer not null, inferred integer not null,
  version integer not null, changed_ms integer not null, waybill_rev text not null, epc_rev text not null);
create index parcels_epc on parcels (epc);
create index parcels_waybill on parcels (waybill);
create index parcels_waybill_rev on parcels (waybill_rev);
create index parcels_epc_rev on parcels (epc_rev);
create index parcels_changed on parcels (changed_ms desc, waybill desc);
create index parcels_place on parcels (place);
create table evidence (                 -- append-only; a reading told twice is one row
  id text primary key, subject text not null, kind text not null, step text not null, thing text not null, device text not null,
  at_ms integer not null, tq text not null, gateway text not null, epoch text not null, lane integer not null, seq integer not null, body text not null);
create index evidence_subject on evidence (subject, at_ms);
create index evidence_thing on evidence (thing, at_ms);
create index evidence_gateway on evidence (gateway, at_ms) where kind in ('scan', 'locker');
create table commands (
  id text primary key, created_ms integer not null, doc text not null,
  outcome text not null, detail text not null, answered_ms integer not null);
create index commands_created on commands (created_ms);
create table points (                   -- history, where no InfluxDB is set
  series text not null, at_ns integer not null, body text not null,
  primary key (series, at_ns));

-- +goose Down
drop table points;
drop table commands;
drop table evidence;
drop table parcels;
drop table contents;
drop table containers;
drop table cells;
drop table lockers;
drop table cold_boxes;
drop table stays;
drop table vehicles;
drop table latest;
drop table outbox;
drop table alarms;
drop table quarantine;
drop table counters;
drop table frames;
drop table tombstones;
drop table openings;
drop table ranges;
drop table gateways;
drop table bindings;
drop table registry;
