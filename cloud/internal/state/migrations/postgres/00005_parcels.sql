-- A parcel's whole life: who it is for, what was told of it, what is wrong with it; and what became true, numbered.

-- +goose Up
create table facts (                    -- what others have to be told; seq counts up in commit order without gaps
  seq bigint primary key, at_ms bigint not null, object text collate "C" not null, event text collate "C" not null,
  key text collate "C" not null unique, doc text collate "C" not null);
drop table outbox;
insert into counters (name, value) values ('facts', 0);

alter table parcels
  add column direction text collate "C" not null default 'inbound',
  add column size text collate "C" not null default '',
  add column consent text collate "C" not null default 'unknown',
  add column hold bigint not null default 0,
  add column order_no text collate "C" not null default '',
  add column recipient bytea not null default '',          -- sealed
  add column phone_hash text collate "C" not null default '', -- keyed
  add column told text collate "C" not null default '',    -- the steps that were told, see told.go
  add column wrong text collate "C" not null default '';   -- ids of its open exceptions
update parcels set told = '*';          -- what was known before there were facts is no news
drop index parcels_waybill;             -- the primary key's
drop index parcels_epc;
drop index parcels_epc_rev;
drop index parcels_place;
create index parcels_epc on parcels (epc) where epc <> '';
create index parcels_epc_rev on parcels (epc_rev) where epc_rev <> '';
create index parcels_place on parcels (place) where place <> '';
create index parcels_phone on parcels (phone_hash) where phone_hash <> '';
create index parcels_order on parcels (order_no) where order_no <> '';
create index parcels_taken on parcels (since_ms) where stage in ('picked_up', 'signed_for');
create table amendments (               -- what a waybill was before each change; recipient is sealed
  waybill text collate "C" not null, n bigint not null, at_ms bigint not null, actor text collate "C" not null, doc text collate "C" not null, recipient bytea not null,
  primary key (waybill, n));
create table exceptions (               -- ended_ms 0 is still
  id text collate "C" primary key, class text collate "C" not null, cause text collate "C" not null, object text collate "C" not null, evidence text collate "C" not null,
  source text collate "C" not null, detail text collate "C" not null, discovered_ms bigint not null, ended_ms bigint not null, version bigint not null);
create index exceptions_object on exceptions (object);
create index exceptions_discovered on exceptions (discovered_ms desc, id desc);
alter table containers add column code text collate "C" not null default '';  -- its barcode, as scans are written
create unique index containers_code on containers (code) where code <> '';
drop index evidence_thing;              -- only of vehicles it is asked
create index evidence_aboard on evidence (thing, at_ms) where thing >= 'vehicle/' and thing < 'vehicle0';
create index evidence_benches on evidence (device, at_ms) where kind = 'scan' and thing >= 'bench/' and thing < 'bench0';

-- +goose Down
drop index evidence_benches;
drop index evidence_aboard;
create index evidence_thing on evidence (thing, at_ms);
drop index containers_code;
alter table containers drop column code;
drop table exceptions, amendments, facts;
delete from counters where name = 'facts' or name like 'follower %';
create table outbox (
  id bigint generated always as identity primary key, kind text collate "C" not null, key text collate "C" not null, doc text collate "C" not null, created_ms bigint not null);
drop index parcels_taken;
drop index parcels_order;
drop index parcels_phone;
drop index parcels_place;
drop index parcels_epc_rev;
drop index parcels_epc;
alter table parcels drop column direction, drop column size, drop column consent, drop column hold, drop column order_no, drop column recipient, drop column phone_hash, drop column told, drop column wrong;
create index parcels_epc on parcels (epc);
create index parcels_waybill on parcels (waybill);
create index parcels_epc_rev on parcels (epc_rev);
create index parcels_place on parcels (place);
