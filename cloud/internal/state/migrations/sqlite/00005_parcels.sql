-- A parcel's whole life: who it is for, what was told of it, what is wrong with it; and what became true, numbered.

-- +goose Up
create table facts (                    -- what others have to be told; seq counts up in commit order without gaps
  seq integer primary key, at_ms integer not null, object text not null, event text not null,
  key text not null unique, doc text not null);
drop table outbox;
insert into counters (name, value) values ('facts', 0);

alter table parcels add column direction text not null default 'inbound';
alter table parcels add column size text not null default '';
alter table parcels add column consent text not null default 'unknown';
alter table parcels add column hold integer not null default 0;
alter table parcels add column order_no text not null default '';
alter table parcels add column recipient blob not null default x'';  -- sealed
alter table parcels add column phone_hash text not null default '';  -- keyed
alter table parcels add column told text not null default '';  -- the steps that were told, see told.go
alter table parcels add column wrong text not null default '';  -- ids of its open exceptions
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
  waybill text not null, n integer not null, at_ms integer not null, actor text not null, doc text not null, recipient blob not null,
  primary key (waybill, n));
create table exceptions (               -- ended_ms 0 is still
  id text primary key, class text not null, cause text not null, object text not null, evidence text not null,
  source text not null, detail text not null, discovered_ms integer not null, ended_ms integer not null, version integer not null);
create index exceptions_object on exceptions (object);
create index exceptions_discovered on exceptions (discovered_ms desc, id desc);
alter table containers add column code text not null default '';  -- its barcode, as scans are written
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
drop table exceptions;
drop table amendments;
drop table facts;
delete from counters where name = 'facts' or name like 'follower %';
create table outbox (
  id integer primary key autoincrement, kind text not null, key text not null, doc text not null, created_ms integer not null);
drop index parcels_taken;
drop index parcels_order;
drop index parcels_phone;
drop index parcels_place;
drop index parcels_epc_rev;
drop index parcels_epc;
alter table parcels drop column direction;
alter table parcels drop column size;
alter table parcels drop column consent;
alter table parcels drop column hold;
alter table parcels drop column order_no;
alter table parcels drop column recipient;
alter table parcels drop column phone_hash;
alter table parcels drop column told;
alter table parcels drop column wrong;
create index parcels_epc on parcels (epc);
create index parcels_waybill on parcels (waybill);
create index parcels_epc_rev on parcels (epc_rev);
create index parcels_place on parcels (place);
