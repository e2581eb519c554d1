-- EPCIS events, what they name, what partners sent; and the tags that labels gave to parcels.

-- +goose Up
create table epcis_events (             -- an event and the declaration that it was wrong have the same id
  id text collate "C" not null, declared_ms bigint not null, no bigint not null unique, type text collate "C" not null, at_ms bigint not null, recorded_ms bigint not null,
  action text collate "C" not null, biz_step text collate "C" not null, disposition text collate "C" not null, read_point text collate "C" not null, biz_location text collate "C" not null,
  reason text collate "C" not null, key text collate "C" not null, waybill text collate "C" not null, digest text collate "C" not null, doc text collate "C" not null,
  primary key (id, declared_ms));
create index epcis_events_at on epcis_events (at_ms, no);
create index epcis_events_recorded on epcis_events (recorded_ms, no);
create index epcis_events_key on epcis_events (key) where key <> '';
create table epcis_terms (
  kind text collate "C" not null, value text collate "C" not null, no bigint not null,
  primary key (kind, value, no));
create table epcis_captures (
  id text collate "C" primary key, at_ms bigint not null, finished_ms bigint not null, rollback bigint not null, success bigint not null,
  events bigint not null, stored bigint not null, faults text collate "C" not null);
create table labels (                   -- waybill <-> tag, as printed; read_ms when the tag was read back, 0 not yet
  waybill text collate "C" primary key, epc text collate "C" not null unique, at_ms bigint not null, read_ms bigint not null);
insert into counters (name, value) values ('epcis', 0), ('sscc', 0);

-- +goose Down
delete from counters where name in ('epcis', 'sscc');
drop table labels;
drop table epcis_captures;
drop table epcis_terms;
drop table epcis_events;
